import { request } from 'node:http';
import { dockerSocket } from '../../lab/paths.ts';
import type { HostContainer, HostSandbox } from './cluster-host.ts';
import { at, listAt, textAt } from './cluster.ts';

/** What cri-dockerd calls the container that is the sandbox. */
const SANDBOX_NAME = 'POD';

/** The pod's one running sandbox, or undefined while there is none; as Docker knows it. */
export async function dockerSandboxOf(podUid: string): Promise<HostSandbox | undefined> {
  const sandbox = (await runningOf(podUid)).find((container) => nameOf(container) === SANDBOX_NAME);
  if (sandbox === undefined) return undefined;
  const netnsPath = textAt(sandbox, 'NetworkSettings', 'SandboxKey');
  return { id: textAt(sandbox, 'Id'), pid: Number(at(sandbox, 'State', 'Pid')), netnsPath };
}

/** The pod's running containers, the sandbox itself as `(sandbox)` included. */
export async function dockerContainersOf(podUid: string): Promise<readonly HostContainer[]> {
  return (await runningOf(podUid)).map((container) => {
    const name = nameOf(container);
    return { name: name === SANDBOX_NAME ? '(sandbox)' : name, pid: Number(at(container, 'State', 'Pid')) };
  });
}

/** Every running container of the pod, inspected; one that ends meanwhile is left out. */
async function runningOf(podUid: string): Promise<readonly unknown[]> {
  const filters = JSON.stringify({ label: [`io.kubernetes.pod.uid=${podUid}`] });
  const listed = listAt(await get(`/containers/json?filters=${encodeURIComponent(filters)}`));
  const inspected = await Promise.all(listed.map((entry) => get(`/containers/${textAt(entry, 'Id')}/json`)));
  return inspected.filter((container) => at(container, 'State', 'Running') === true);
}

function nameOf(container: unknown): string {
  return textAt(container, 'Config', 'Labels', 'io.kubernetes.container.name');
}

function get(path: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const asked = request({ socketPath: dockerSocket, path, timeout: 10_000 }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', reject).on('end', () => resolve(JSON.parse(text)));
  });
  asked.on('timeout', () => asked.destroy(new Error(`Docker does not answer ${path}`)));
  asked.on('error', reject).end();
  return promise;
}
