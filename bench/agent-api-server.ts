import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { asObject } from '../src/admission/json.ts';
import { NAMESPACE, type NodePod } from './agent-node.ts';

/** What an agent needs of an API server, over TLS as in a cluster. */
export interface AgentApiServer {
  readonly port: number;
  /** A pod comes to the node. Resolves with the milliseconds until the agent has reported it. */
  add(pod: NodePod): Promise<number>;
  close(): void;
}

/** `folder` gets what a pod finds of its ServiceAccount. */
export async function startApiServer(folder: string): Promise<AgentApiServer> {
  const [keyFile, certificate] = [join(folder, 'tls.key'), join(folder, 'ca.crt')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-keyout', keyFile, '-out', certificate, '-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ],
    { stdio: 'ignore' },
  );
  const watches = new Set<ServerResponse>();
  const reported = new Map<string, (object: object) => void>();
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certificate) }, (request, response) => {
    void answer(request, response);
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://bench');
    const resource = url.pathname.split('/').at(-1) ?? '';
    response.setHeader('content-type', 'application/json');
    if (request.method === 'GET' && url.searchParams.has('watch')) {
      response.flushHeaders();
      if (resource === 'pods') watches.add(response.on('close', () => watches.delete(response)));
      return;
    }
    if (request.method === 'GET') {
      const items =
        resource === 'namespaces' ? [{ metadata: { name: NAMESPACE, uid: 'n', resourceVersion: '1' } }] : [];
      response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '1' }, items }));
      return;
    }
    const body = asObject(await json(request));
    response.writeHead(request.method === 'POST' ? 201 : 200).end(JSON.stringify({ metadata: {} }));
    if (request.method === 'PATCH') reported.get(url.pathname.split('/').at(-2) ?? '')?.(body);
  }

  function send(type: string, object: object): void {
    for (const watch of watches) watch.write(`${JSON.stringify({ type, object })}\n`);
  }

  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    add: async ({ name, object }) => {
      const startMs = performance.now();
      const patch = await new Promise<object>((resolve) => {
        reported.set(name, resolve);
        send('ADDED', object);
      });
      const tookMs = performance.now() - startMs;
      reported.delete(name);
      // As in a cluster: the agent's own patch comes back, then kubelet's changes of the status.
      const annotations = {
        ...asObject(asObject(object.metadata).annotations),
        ...asObject(asObject(asObject(patch).metadata).annotations),
      };
      for (let change = 2; change < 7; change += 1) {
        const metadata = { ...asObject(object.metadata), annotations, resourceVersion: String(change) };
        send('MODIFIED', {
          ...object,
          metadata,
          status: { phase: 'Running', podIP: '198.51.100.2', podIPs: [{ ip: '198.51.100.2' }] },
        });
      }
      return tookMs;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
