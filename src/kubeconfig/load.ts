import { ControllerError, messageOf } from '../errors.ts';
import { findKubeconfig } from './find.ts';
import type { KubeConfig } from './library.ts';
import { type Entry, type JsonObject, type Kubeconfig, mergeKubeconfig } from './merge.ts';

export interface LoginOptions {
  /** `--kubeconfig`. */
  readonly kubeconfig: string | undefined;
  /** `--context`. */
  readonly context: string | undefined;
  /** `--as`: impersonate this user. */
  readonly as: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told what a login waits for. */
  readonly say: (text: string) => void;
}

/** What a kubeconfig says about one cluster, and the library set to it. */
export interface Loaded {
  readonly config: KubeConfig;
  readonly place: string;
  readonly server: URL;
  readonly namespace: string | undefined;
  /** Of the login plugin, if there is one. */
  readonly plugin: { readonly command: string; readonly installHint: string | undefined } | undefined;
  /** Groups of an impersonated user, which the library leaves out. */
  readonly groups: readonly string[];
}

/** Reads the kubeconfig and picks the context. Throws `Usage` or `FileUnreadable` naming file and entry. */
export function load(config: KubeConfig, options: LoginOptions): Loaded {
  const found = findKubeconfig(options.kubeconfig, options.env);
  if (found.kind === 'in-cluster') return loadInCluster(config);
  const files = found.files.map(({ path }) => path).join(', ');
  const merged = mergeKubeconfig(found.files, options.env);
  const name = options.context ?? merged.currentContext;
  if (name === undefined) {
    throw new ControllerError('Usage', `${files}: has no current-context`, {
      hint: `Give --context: ${names(merged)}.`,
    });
  }
  const context = entry(merged.contexts, name);
  if (context === undefined) {
    throw new ControllerError('Usage', `${files}: has no context ${JSON.stringify(name)}`, {
      hint: `It has: ${names(merged)}.`,
    });
  }
  const place = `context ${name} of ${context.path}`;
  const cluster = named(merged.clusters, context, 'cluster', place);
  const user = userOf(merged, context, place);
  const impersonated = options.as === undefined ? user : { ...user, value: { ...user.value, as: options.as } };
  take(config, { context, cluster, user: impersonated }, place);
  const server = text(cluster.value['server']) ?? '';
  if (!/^https?:\/\//.test(server) || !URL.canParse(server)) {
    throw new ControllerError(
      'Usage',
      `${place}: cluster ${cluster.name}: server ${JSON.stringify(server)} is no URL`,
      {
        hint: 'Such as https://192.0.2.1:6443.',
      },
    );
  }
  return {
    config,
    place,
    server: new URL(server),
    namespace: text(context.value['namespace']),
    plugin: pluginOf(user.value),
    groups: options.as === undefined ? texts(user.value['as-groups']) : [],
  };
}

/** Only the one context: another one's broken entry is none of our business. */
function take(
  config: KubeConfig,
  { context, cluster, user }: { readonly context: Entry; readonly cluster: Entry; readonly user: Entry },
  place: string,
): void {
  const value = { ...context.value, user: user.name };
  const document = {
    clusters: [{ name: cluster.name, cluster: cluster.value }],
    contexts: [{ name: context.name, context: value }],
    users: [{ name: user.name, user: user.value }],
    'current-context': context.name,
  };
  try {
    config.loadFromString(JSON.stringify(document));
  } catch (error: unknown) {
    throw new ControllerError('FileUnreadable', `${place}: ${messageOf(error)}`, { cause: error });
  }
}

/** A context may do without; but to the library a cluster's CA counts only together with a user. */
function userOf(merged: Kubeconfig, context: Entry, place: string): Entry {
  if (text(context.value['user']) === undefined) return { name: 'nobody', path: context.path, value: {} };
  return named(merged.users, context, 'user', place);
}

function loadInCluster(config: KubeConfig): Loaded {
  config.loadFromCluster();
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  const server = new URL(config.getCurrentCluster()?.server ?? 'https://kubernetes.default.svc');
  return { config, place: 'the ServiceAccount of this pod', server, namespace, plugin: undefined, groups: [] };
}

function named(list: readonly Entry[], context: Entry, kind: 'cluster' | 'user', place: string): Entry {
  const name = text(context.value[kind]);
  const found = name === undefined ? undefined : entry(list, name);
  if (found !== undefined) return found;
  throw new ControllerError('Usage', `${place}: its ${kind} ${JSON.stringify(name ?? '')} is not there`, {
    hint: `The kubeconfig must have an entry of that name under ${kind}s.`,
  });
}

function entry(list: readonly Entry[], name: string): Entry | undefined {
  return list.find((one) => one.name === name);
}

function names({ contexts }: Kubeconfig): string {
  return contexts.length === 0 ? 'no context at all' : contexts.map(({ name }) => name).join(', ');
}

function pluginOf(user: JsonObject): Loaded['plugin'] {
  const exec = user['exec'];
  if (typeof exec !== 'object' || exec === null) return undefined;
  return {
    command: 'command' in exec ? String(exec.command) : '',
    installHint: 'installHint' in exec ? text(exec.installHint)?.trim() : undefined,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
