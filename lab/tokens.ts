import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubectl } from './kubectl.ts';
import { data } from './paths.ts';
import { kubeconfigWith, makeClientCertificate } from './pki.ts';

/** Somebody that the lab's CA vouches for. */
export interface User {
  /** `alice`, or `system:node:other`. */
  readonly user: string;
  /** `system:nodes`, `system:masters`, …; none by default. */
  readonly groups?: readonly string[];
}

/** A token of a ServiceAccount, as the TokenRequest API gives it. */
export interface TokenOf {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Name of a pod of the namespace: the token then says which pod and which node, as one that kubelet fetched for it does. */
  readonly boundPod?: string;
  /** An hour by default; the API server gives no less than ten minutes. */
  readonly lifetimeSeconds?: number;
}

const FOLDER = join(data.directory, 'users');

/** Path of a kubeconfig with a client certificate for this user and these groups. They may do what RBAC grants them: nothing, at first. */
export async function userKubeconfig({ user, groups = [] }: User): Promise<string> {
  const base = baseName('user', [user, ...groups]);
  if (!existsSync(`${base}.crt`)) await makeClientCertificate(base, { user, groups });
  return written(base, kubeconfigWith(user, { 'client-certificate': `${base}.crt`, 'client-key': `${base}.key` }));
}

/** A new token of this ServiceAccount. */
export async function tokenFor(request: TokenOf): Promise<string> {
  const { namespace, serviceAccount, boundPod, lifetimeSeconds = 3600 } = request;
  const bound = boundPod === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${boundPod}`];
  const args = ['create', 'token', serviceAccount, '-n', namespace, `--duration=${lifetimeSeconds}s`, ...bound];
  return (await kubectl(args)).trim();
}

/** Path of a kubeconfig with a new token of this ServiceAccount. */
export async function tokenKubeconfig(request: TokenOf): Promise<string> {
  const { namespace, serviceAccount, boundPod = '' } = request;
  const base = baseName('token', [namespace, serviceAccount, boundPod]);
  return written(base, kubeconfigWith(serviceAccount, { token: await tokenFor(request) }));
}

function baseName(kind: string, parts: readonly string[]): string {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  return join(FOLDER, `${kind}-${createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16)}`);
}

function written(base: string, text: string): string {
  const path = `${base}.kubeconfig`;
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return path;
}
