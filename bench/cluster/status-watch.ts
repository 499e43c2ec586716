import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { lab } from '../../lab/paths.ts';
import { STATUS } from '../../test/support/cluster.ts';

/** Tells when the agent has reported on a pod, by one watch for all of them. */
export interface StatusWatch {
  /** Resolves to what the agent wrote. */
  reported(podName: string, timeoutMs: number): Promise<string>;
  close(): void;
}

/** Follows one Namespace's pods. An API server ends each watch after a while; then the next one begins with what is there. */
export function watchStatus(namespace: string): StatusWatch {
  const seen = new Map<string, string>();
  const waiting = new Map<string, (status: string) => void>();
  const closed = new AbortController();
  void follow();

  async function follow(): Promise<void> {
    const key = STATUS.replaceAll('.', String.raw`\.`);
    const columns = `custom-columns=NAME:.metadata.name,STATUS:.metadata.annotations.${key}`;
    const argv = [
      `--kubeconfig=${lab.kubeconfig}`,
      'get',
      'pods',
      '-n',
      namespace,
      '-w',
      '--no-headers',
      '-o',
      columns,
    ];
    while (!closed.signal.aborted) {
      const child = spawn(join(lab.bin, 'kubectl'), argv, {
        stdio: ['ignore', 'pipe', 'ignore'],
        signal: closed.signal,
      });
      child.on('error', () => undefined);
      for await (const line of createInterface({ input: child.stdout })) note(line);
    }
  }

  function note(line: string): void {
    const [name = '', status = ''] = line.trim().split(/\s+/);
    if (status === '<none>' || status === '') return;
    const resolve = waiting.get(name);
    // One that is deleted shows up once more, and nobody asks any longer.
    if (resolve === undefined) seen.set(name, status);
    else resolve(status);
  }

  return {
    reported: (name, timeoutMs) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const timer = setTimeout(() => reject(new Error(`${name}: no report in ${timeoutMs / 1000} s`)), timeoutMs);
      waiting.set(name, resolve);
      const early = seen.get(name);
      if (early !== undefined) resolve(early);
      return promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(name);
        seen.delete(name);
      });
    },
    close: () => closed.abort(),
  };
}
