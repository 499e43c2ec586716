import type { OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { ControllerError, errnoOf, isControllerError, messageOf } from '../errors.ts';
import { load, type Loaded, type LoginOptions } from './load.ts';

/** What makes a request one of this user's: agent, client certificate, headers. */
export interface LoggedIn {
  /** Headers never as a list, as Node's own type allows. */
  readonly options: Omit<RequestOptions, 'headers'> & { readonly headers: OutgoingHttpHeaders };
  /** Which login it was; see `forget`. */
  readonly generation: number;
}

/** Where a cluster is and how one gets in. */
export interface Login {
  /** For messages: `context lab of FILE`. */
  readonly place: string;
  readonly server: URL;
  /** Of the context. */
  readonly namespace: string | undefined;
  /** May run a login plugin, once, however many ask; it may take a person's time, but not for ever. */
  enter(): Promise<LoggedIn>;
  /** The server refused the credentials of that login: the next request logs in anew, from the files. */
  forget(generation: number): void;
}

/** A plugin may open a browser and wait for a person. */
const LOGIN_TIMEOUT_MS = 300_000;
/** Longer than plugins take that have what they need. */
const PATIENCE_MS = 2_000;

/**
 * Reads the kubeconfig and takes the library to log in with, which is loaded only here: it is larger than all else together.
 * Throws `Usage` or `FileUnreadable` for what is wrong with files or names; asks no server and runs no plugin yet.
 */
export async function openLogin(options: LoginOptions): Promise<Login> {
  const { KubeConfig: Library } = await import('./library.ts');
  const open = () => load(new Library(), options);
  let generation = 1;
  let current: Loaded | undefined = open();
  const { place, server, namespace } = current;
  let turn: Promise<unknown> = Promise.resolve();

  async function enter(): Promise<LoggedIn> {
    current ??= open();
    const mine = generation;
    return { options: await requestOptions(current, options.say), generation: mine };
  }

  return {
    place,
    server,
    namespace,
    // One after the other: the library would run the plugin, and open a browser, for each request that finds no token yet.
    enter: () => {
      const mine = turn.then(enter);
      turn = mine.catch(() => undefined);
      return mine;
    },
    forget: (refused) => {
      if (refused !== generation) return;
      generation += 1;
      current = undefined;
    },
  };
}

async function requestOptions(
  { config, place, plugin, groups }: Loaded,
  say: LoginOptions['say'],
): Promise<LoggedIn['options']> {
  const options: RequestOptions = {};
  const timers: NodeJS.Timeout[] = [];
  const tooLate = new Promise<never>((_, reject) => {
    const give = () => reject(new Error(`no credentials within ${LOGIN_TIMEOUT_MS / 1000} s`));
    timers.push(setTimeout(give, LOGIN_TIMEOUT_MS));
  });
  if (plugin !== undefined)
    timers.push(setTimeout(() => say(`waiting for login plugin ${plugin.command}`), PATIENCE_MS));
  try {
    await Promise.race([config.applyToHTTPSOptions(options), tooLate]);
  } catch (error: unknown) {
    throw loginFailed(error, place, plugin);
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
  const headers = trimmed(options.headers);
  return { ...options, headers: groups.length === 0 ? headers : { ...headers, 'impersonate-group': [...groups] } };
}

/** A token file often ends with a newline, which the library leaves there and no header may hold. */
function trimmed(headers: RequestOptions['headers']): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, value]) => [name, typeof value === 'string' ? value.trim() : value]),
  );
}

function loginFailed(error: unknown, place: string, plugin: Loaded['plugin']): ControllerError {
  if (isControllerError(error)) return error;
  const errno = errnoOf(error);
  if (plugin === undefined) {
    return new ControllerError('LoginFailed', `${place}: ${messageOf(error)}`, {
      hint: 'The certificate, key or token that the kubeconfig names must be there and readable.',
      cause: error,
    });
  }
  const said = errno === 'ENOENT' ? 'is not installed, or not on PATH' : messageOf(error).trim().slice(0, SAID_MAX);
  return new ControllerError(
    'LoginFailed',
    `${place}: login plugin ${plugin.command}: ${said || 'ended with an error'}`,
    {
      hint:
        plugin.installHint ?? 'Run the plugin by hand to see what it asks for, or name another context with --context.',
      cause: error,
    },
  );
}

/** Of what a plugin says: enough for a person, whatever it is. */
const SAID_MAX = 500;
