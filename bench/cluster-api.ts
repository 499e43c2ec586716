import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import { lab } from '../lab/paths.ts';

const TIMEOUT_MS = 30_000;

/** The lab's API server over one kept connection: kubectl's own start would be a tenth of what is measured. */
export interface ClusterApi {
  /** Throws with the server's answer unless it is 2xx. */
  call(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** As text: logs. */
  text(path: string): Promise<string>;
  close(): void;
}

/** Logs in with the client certificate of the lab's kubeconfig. */
export function clusterApi(): ClusterApi {
  const config: KubeconfigShape = parse(readFileSync(lab.kubeconfig, 'utf8'));
  const cluster = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  if (cluster === undefined || user === undefined) throw new Error(`${lab.kubeconfig} names no cluster and user`);
  const agent = new Agent({
    keepAlive: true,
    ca: readFileSync(cluster['certificate-authority']),
    cert: readFileSync(user['client-certificate']),
    key: readFileSync(user['client-key']),
  });
  const send = (method: string, path: string, body?: object): Promise<string> =>
    new Promise((resolve, reject) => {
      const url = new URL(path, cluster.server);
      const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
      const sent = request(url, { method, agent, headers, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(text);
          else reject(new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`));
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return {
    call: async (method, path, body) => JSON.parse(await send(method, path, body)),
    text: (path) => send('GET', path),
    close: () => agent.destroy(),
  };
}

interface KubeconfigShape {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly 'certificate-authority': string };
  }[];
  readonly users: readonly {
    readonly user: { readonly 'client-certificate': string; readonly 'client-key': string };
  }[];
}
