import { dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { ControllerError, messageOf } from '../errors.ts';
import { proxyFromEnvironment } from './proxy-variables.ts';

/** One file of a kubeconfig, which may be spread over several. */
export interface KubeconfigFile {
  readonly path: string;
  readonly text: string;
}

/** What the client library reads: the merged entries, with everything in them that it would leave out. */
export interface Kubeconfig {
  readonly clusters: readonly Entry[];
  readonly contexts: readonly Entry[];
  readonly users: readonly Entry[];
  readonly currentContext: string | undefined;
}

export interface Entry {
  readonly name: string;
  /** The file that has the entry. */
  readonly path: string;
  /** `cluster`, `context` or `user` of the entry. */
  readonly value: JsonObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Merges kubeconfig files as kubectl does: of two entries with one name the first counts, and so does the first `current-context`.
 * Relative paths are made absolute, each against its own file. Throws `FileUnreadable` naming the file.
 */
export function mergeKubeconfig(
  files: readonly KubeconfigFile[],
  env: Readonly<Record<string, string | undefined>>,
): Kubeconfig {
  const parsed = files.map((file) => ({ path: file.path, object: parseFile(file) }));
  const all = (list: string, key: string, complete: (value: JsonObject, folder: string) => JsonObject) =>
    firstOfEach(
      parsed.flatMap(({ path, object }) =>
        entries(object[list], key).map(({ name, value }) => ({ name, path, value: complete(value, dirname(path)) })),
      ),
    );
  return {
    clusters: all('clusters', 'cluster', (value, folder) => completeCluster(value, folder, env)),
    contexts: all('contexts', 'context', (value) => value),
    users: all('users', 'user', completeUser),
    currentContext: parsed.map(({ object }) => textOf(object['current-context'])).find((name) => name !== undefined),
  };
}

function parseFile({ path, text }: KubeconfigFile): JsonObject {
  try {
    return objectOf(parse(text));
  } catch (error: unknown) {
    throw new ControllerError('FileUnreadable', `${path}: is not a kubeconfig: ${messageOf(error)}`, { cause: error });
  }
}

function entries(list: unknown, key: string): readonly { readonly name: string; readonly value: JsonObject }[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const name = textOf(objectOf(entry)['name']);
    return name === undefined ? [] : [{ name, value: objectOf(objectOf(entry)[key]) }];
  });
}

function firstOfEach(list: readonly Entry[]): readonly Entry[] {
  const byName = new Map<string, Entry>();
  for (const entry of list) if (!byName.has(entry.name)) byName.set(entry.name, entry);
  return [...byName.values()];
}

function completeCluster(
  cluster: JsonObject,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): JsonObject {
  const server = urlOf(textOf(cluster['server']));
  const proxy = textOf(cluster['proxy-url']) ?? (server === undefined ? undefined : proxyFromEnvironment(server, env));
  return {
    ...cluster,
    ...absolute(cluster, ['certificate-authority'], folder),
    ...(proxy === undefined ? {} : { 'proxy-url': proxy }),
    // The library refuses plain HTTP, which `kubectl proxy` serves, unless told not to check what plain HTTP does not have.
    ...(server?.protocol === 'http:' ? { 'insecure-skip-tls-verify': true } : {}),
  };
}

function completeUser(user: JsonObject, folder: string): JsonObject {
  const { tokenFile, token, ...rest } = user;
  const file = textOf(tokenFile);
  return {
    ...rest,
    ...absolute(user, ['client-certificate', 'client-key'], folder),
    // The library knows `tokenFile` only as a provider, which reads it again and again, as kubectl does.
    ...(file === undefined
      ? { token }
      : { 'auth-provider': { name: 'tokenFile', config: { tokenFile: absolutePath(file, folder) } } }),
    ...(user['exec'] === undefined || user['exec'] === null
      ? {}
      : { exec: completeExec(objectOf(user['exec']), folder) }),
  };
}

/** Login plugins ask for this variable, which the library does not set; and a path with a slash is meant from the file's own folder. */
function completeExec(exec: JsonObject, folder: string): JsonObject {
  const command = textOf(exec['command']) ?? '';
  const given = Array.isArray(exec['env']) ? exec['env'] : [];
  const info = { kind: 'ExecCredential', apiVersion: exec['apiVersion'], spec: { interactive: false } };
  return {
    ...exec,
    command: command.includes('/') ? absolutePath(command, folder) : command,
    env: [{ name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }, ...given],
  };
}

function absolute(object: JsonObject, keys: readonly string[], folder: string): JsonObject {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const path = textOf(object[key]);
      return path === undefined ? [] : [[key, absolutePath(path, folder)]];
    }),
  );
}

function absolutePath(path: string, folder: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}

function urlOf(text: string | undefined): URL | undefined {
  return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
