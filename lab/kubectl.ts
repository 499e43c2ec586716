import { join } from 'node:path';
import { command } from './command.ts';
import { lab } from './paths.ts';
import { poll } from './poll.ts';

/** Runs the lab's kubectl as cluster admin; `input` is standard input, for `apply -f -`. */
export function kubectl(args: readonly string[], options: { readonly input?: string } = {}): Promise<string> {
  return command([join(lab.bin, 'kubectl'), `--kubeconfig=${lab.kubeconfig}`, ...args], {
    timeoutMs: 120_000,
    ...options,
  });
}

/** Creates or updates objects (each as its fields say, by server-side apply). */
export async function apply(objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input: JSON.stringify(list) });
}

/** Waits until a Deployment is available. */
export async function waitAvailable(namespace: string, name: string, timeoutMs: number): Promise<void> {
  const path = 'jsonpath={.status.conditions[?(@.type=="Available")].status}';
  await poll(async () => (await kubectl(['-n', namespace, 'get', 'deployment', name, '-o', path])) === 'True', {
    what: `Deployment ${namespace}/${name} is available`,
    timeoutMs,
    intervalMs: 300,
  });
}
