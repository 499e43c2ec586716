import { ControllerError, errnoOf, isControllerError } from '../errors.ts';
import { statusOf } from '../kube/api-errors.ts';
import type { Login } from './login.ts';

/** A failed request in words for a person: which server, by which kubeconfig, and the way out. The code stays. */
export function explained(error: unknown, login: Pick<Login, 'place' | 'server'>): unknown {
  if (!isControllerError(error, 'ApiUnavailable', 'ApiRefused', 'ApiReply')) return error;
  const status = statusOf(error);
  const where = `server ${login.server.href.replace(/\/$/, '')}, ${login.place}`;
  const hint = status === undefined ? connectionHint(error) : statusHint(status, error);
  return new ControllerError(error.code, `${error.message} (${where})`, {
    ...(hint === undefined ? {} : { hint }),
    fields: error.fields,
    cause: error,
  });
}

function statusHint(status: number, error: ControllerError): string | undefined {
  if (status === 401) return 'The server does not know these credentials: log in again, or name another context.';
  if (status === 403)
    return 'This user may not do that: ask for the permission, or name another context with --context.';
  return error.hint;
}

/** By what Node and OpenSSL call it. */
const CONNECTION_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the cluster running, and is this its address?',
  ENOTFOUND: 'The name is not known to DNS: is the address right, and are you on the right network?',
  EAI_AGAIN: 'DNS does not answer: are you on the right network?',
  ETIMEDOUT: 'Nothing answers there: are you on the right network, or does it take a proxy (HTTPS_PROXY, proxy-url)?',
  EHOSTUNREACH: 'There is no way there: are you on the right network?',
  ENETUNREACH: 'There is no way there: are you on the right network?',
  ECONNRESET: 'The connection was cut: a proxy in between, or no API server at that address.',
  CERT_HAS_EXPIRED: "The server's certificate has expired.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The server's certificate is for another name: see tls-server-name of the kubeconfig.",
  EPROTO: 'This is no TLS server: is it http:// rather than https://?',
};
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function connectionHint(error: ControllerError): string | undefined {
  const code = causesOf(error)
    .map(errnoOf)
    .find((one) => one !== undefined);
  if (code !== undefined && UNTRUSTED.has(code))
    return "The server's certificate is signed by a CA that certificate-authority-data of the kubeconfig does not hold.";
  const known = code === undefined ? undefined : CONNECTION_HINTS[code];
  if (known !== undefined) return known;
  return error.message.includes('no answer within') ? CONNECTION_HINTS['ETIMEDOUT'] : error.hint;
}

/** The error and what caused it, to a depth no chain of ours has. */
function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (let one = error; one instanceof Error && chain.length < 8; one = one.cause) chain.push(one);
  return chain;
}
