import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { data, network, ports } from '../../lab/paths.ts';
import { makeClientCertificate } from '../../lab/pki.ts';
import { kubectl, textAt } from './cluster.ts';

/** Somebody with credentials of their own: a ServiceAccount's token or a client certificate (PEM). */
export interface Identity {
  readonly token?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** One request to the API server, without kubectl in between. */
export interface Ask {
  /** GET unless there is a body, then POST. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** JSON for POST and PUT, a merge patch for PATCH. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Connections that are kept open, all of this one identity; without them each request has a connection of its own. */
  readonly connections?: Agent;
}

export interface Answer {
  readonly status: number;
  /** Of a Status object; empty otherwise. */
  readonly message: string;
  readonly body: unknown;
}

const ANSWER_TIMEOUT_MS = 30_000;

/** The lab's cluster admin. */
export function clusterAdmin(): Identity {
  return certificateOf('admin');
}

/** The kubelet of the lab's node, with the certificate it runs with. */
export function ownKubelet(): Identity {
  return certificateOf('kubelet');
}

/** A kubelet of another node, with a certificate of the cluster's CA. */
export async function kubeletOf(nodeName: string): Promise<Identity> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-pnc-kubelet-'));
  try {
    const base = join(folder, 'kubelet');
    await makeClientCertificate(base, `/O=system:nodes/CN=system:node:${nodeName}`);
    return identityIn(base);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A token of a ServiceAccount, bound to nothing or, as kubelet's are, to a pod that runs under it. */
export async function tokenOf(
  namespace: string,
  serviceAccount: string,
  boundTo?: { readonly kind: 'Pod' | 'Node'; readonly name: string; readonly uid: string },
): Promise<Identity> {
  const bound =
    boundTo === undefined
      ? []
      : [
          `--bound-object-kind=${boundTo.kind}`,
          `--bound-object-name=${boundTo.name}`,
          `--bound-object-uid=${boundTo.uid}`,
        ];
  const token = await kubectl(['create', 'token', '-n', namespace, serviceAccount, '--duration=1h', ...bound]);
  return { token: token.trim() };
}

/** Sends one request as `identity` and as nobody else. */
export function ask(identity: Identity, { path, body, ...more }: Ask): Promise<Answer> {
  const { method = body === undefined ? 'GET' : 'POST' } = more;
  const { contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' } = more;
  const authorization = identity.token === undefined ? {} : { authorization: `Bearer ${identity.token}` };
  const headers: Record<string, string | string[]> = {
    accept: 'application/json',
    'content-type': contentType,
    ...authorization,
  };
  for (const [name, value] of Object.entries(more.headers ?? {}))
    headers[name] = typeof value === 'string' ? value : [...value];
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = {
    host: network.nodeIpv4,
    port: ports.apiserver,
    path,
    method,
    headers,
    ca: readFileSync(join(data.pki, 'ca.crt')),
    cert: identity.certificate,
    key: identity.key,
    // Not shared by default: a connection made with a certificate would speak for the next caller, too.
    agent: more.connections ?? false,
    timeout: ANSWER_TIMEOUT_MS,
  } as const;
  const sent = request(options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve(answerOf(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))));
  });
  sent.on('timeout', () =>
    sent.destroy(new Error(`${method} ${path}: no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)),
  );
  sent.on('error', reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

function answerOf(status: number, text: string): Answer {
  const body = parse(text);
  return { status, message: textAt(body, 'kind') === 'Status' ? textAt(body, 'message') : text.slice(0, 300), body };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function certificateOf(file: string): Identity {
  return identityIn(join(data.pki, file));
}

function identityIn(base: string): Identity {
  return { certificate: readFileSync(`${base}.crt`, 'utf8'), key: readFileSync(`${base}.key`, 'utf8') };
}
