import { join } from 'node:path';
import { command } from './command.ts';
import { lab } from './paths.ts';

/** A release that Helm knows, as `helm list` has it. */
export interface Release {
  readonly name: string;
  /** deployed, failed, pending-install, … */
  readonly status: string;
}

/**
 * Installs or updates a release; returns whether anything had to be done. Nothing is if it is deployed with these values
 * (the lab's charts change only together with the lab).
 */
export async function ensureRelease(
  namespace: string,
  release: { readonly name: string; readonly chart: string; readonly values: object },
): Promise<boolean> {
  const { name, chart, values } = release;
  const status = (await listReleases(namespace)).find((found) => found.name === name)?.status;
  if (status === 'deployed' && (await hasValues(namespace, name, values))) return false;
  // A predecessor that was killed leaves a release that Helm believes to be in work.
  if (status?.startsWith('pending') === true) await helm(['uninstall', name, '--namespace', namespace, '--no-hooks']);
  const args = ['upgrade', '--install', name, chart, '--namespace', namespace, '--create-namespace', '--values', '-'];
  await helm(args, JSON.stringify(values));
  return true;
}

/** Uninstalls a release and waits until its objects are gone; does nothing if there is none. */
export async function removeRelease(namespace: string, name: string): Promise<boolean> {
  if (!(await listReleases(namespace)).some((found) => found.name === name)) return false;
  await helm(['uninstall', name, '--namespace', namespace, '--ignore-not-found', '--wait', '--timeout', '120s']);
  return true;
}

/** Every release of a namespace, whatever its state. */
export async function listReleases(namespace: string): Promise<Release[]> {
  const list: unknown = JSON.parse(await helm(['list', '--namespace', namespace, '-o', 'json']));
  return Array.isArray(list) ? list.filter(isRelease) : [];
}

/** Values over values as Helm merges several `--values`: maps key by key, anything else replaced. */
export function mergeValues(base: object, over: object): object {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isMap(below) && isMap(value) ? mergeValues(below, value) : value;
  }
  return merged;
}

async function hasValues(namespace: string, name: string, values: object): Promise<boolean> {
  const current: unknown = JSON.parse(await helm(['get', 'values', name, '--namespace', namespace, '-o', 'json']));
  return canonical(current ?? {}) === canonical(values);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isMap(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRelease(value: unknown): value is Release {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'status' in value &&
    typeof value.status === 'string'
  );
}

function helm(args: readonly string[], input?: string): Promise<string> {
  // Keeps Helm out of the user's own folders.
  const home = join(lab.directory, 'helm');
  const env = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
  const argv = [join(lab.bin, 'helm'), '--kubeconfig', lab.kubeconfig, ...args];
  return command(argv, { env, timeoutMs: 180_000, ...(input === undefined ? {} : { input }) });
}
