import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';

/** Where the API server is and how to speak to it; read again and again, because kubelet rotates token and CA under us. */
export interface Credentials {
  /** The current token and CA. Throws `FileUnreadable` naming the file. */
  current(): { readonly token: string; readonly ca: string };
  /** Forgets what was read: after a 401 the token on disk may be a newer one. */
  refresh(): void;
}

/** kubelet renews a projected token at 80 % of its life, an hour at least before its end; client-go reads it once a minute too. */
const READ_AGAIN_MS = 60_000;

/** Credentials of a ServiceAccount as mounted into a pod. */
export function serviceAccountCredentials(directory: string, nowMs: () => number): Credentials {
  let read: { token: string; ca: string; atMs: number } | undefined;
  return {
    current: () => {
      if (read === undefined || nowMs() - read.atMs > READ_AGAIN_MS) {
        read = { token: readToken(directory), ca: readCa(directory), atMs: nowMs() };
      }
      return read;
    },
    refresh: () => {
      read = undefined;
    },
  };
}

/** The Namespace the agent runs in. */
export function serviceAccountNamespace(directory: string): string {
  return readFile(directory, 'namespace').trim();
}

/** The API server's address as kubelet tells every pod. Throws `Usage` outside of a cluster. */
export function apiServerUrl(env: Readonly<Record<string, string | undefined>>): URL {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') {
    throw new ControllerError('Usage', 'KUBERNETES_SERVICE_HOST is not set', {
      hint: 'The agent runs in a pod, with its ServiceAccount mounted.',
    });
  }
  return new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
}

/** Without a token we would be `system:anonymous`, and the 403 that follows would send people to look at RBAC. */
function readToken(directory: string): string {
  const token = readFile(directory, 'token').trim();
  if (token === '') throw unreadable(directory, 'token', 'is empty');
  return token;
}

/** With no CA in the file Node would trust the public ones instead. */
function readCa(directory: string): string {
  const ca = readFile(directory, 'ca.crt');
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw unreadable(directory, 'ca.crt', 'holds no certificate in PEM');
  return ca;
}

function readFile(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch (error: unknown) {
    throw unreadable(directory, name, errnoOf(error) ?? messageOf(error), error);
  }
}

function unreadable(directory: string, name: string, why: string, cause?: unknown): ControllerError {
  return new ControllerError('FileUnreadable', `${join(directory, name)}: ${why}`, {
    cause,
    hint: 'The ServiceAccount token of the pod must be mounted (automountServiceAccountToken), or --service-account-dir names another place.',
  });
}
