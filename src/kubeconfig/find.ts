import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';
import type { KubeconfigFile } from './merge.ts';

/** Where to log in: files, or the ServiceAccount of the pod this runs in. */
export type Found =
  | { readonly kind: 'files'; readonly files: readonly KubeconfigFile[] }
  | { readonly kind: 'in-cluster' };

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** Kubeconfigs hold certificates and tokens of some kB each. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The kubeconfig, where kubectl looks for it: the given file, else those of KUBECONFIG that exist, else ~/.kube/config, else the
 * ServiceAccount of the pod. Throws `FileUnreadable` naming the file, or `Usage` naming every place that was looked at.
 */
export function findKubeconfig(given: string | undefined, env: Readonly<Record<string, string | undefined>>): Found {
  if (given !== undefined) return { kind: 'files', files: [read(resolve(given))] };
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter(Boolean);
  if (listed.length > 0) {
    // kubectl passes over files that do not exist: not every part of a list is on every machine.
    const there = listed.filter((path) => existsSync(path));
    if (there.length === 0) throw nothingFound(`KUBECONFIG names ${listed.join(', ')}, which do not exist`);
    return { kind: 'files', files: there.map((path) => read(resolve(path))) };
  }
  const home = env['HOME'];
  const own = home === undefined || home === '' ? undefined : join(home, '.kube', 'config');
  if (own !== undefined && existsSync(own)) return { kind: 'files', files: [read(own)] };
  if (existsSync(SERVICE_ACCOUNT_TOKEN) && env['KUBERNETES_SERVICE_HOST'] !== undefined) return { kind: 'in-cluster' };
  throw nothingFound(`KUBECONFIG is not set, ${own ?? '~/.kube/config'} does not exist, and this is no pod`);
}

function read(path: string): KubeconfigFile {
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_MAX) throw new Error(`larger than ${FILE_BYTES_MAX} bytes`);
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error: unknown) {
    throw new ControllerError('FileUnreadable', `kubeconfig ${path}: ${errnoOf(error) ?? messageOf(error)}`, {
      hint: 'Name another file with --kubeconfig or KUBECONFIG.',
      cause: error,
    });
  }
}

function nothingFound(what: string): ControllerError {
  return new ControllerError('Usage', `no kubeconfig: ${what}`, {
    hint: 'Name the file with --kubeconfig FILE or KUBECONFIG.',
  });
}
