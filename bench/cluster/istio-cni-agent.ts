import { runningContainers } from '../../test/support/cluster-host.ts';
import { kubectlJson, listAt, textAt } from '../../test/support/cluster.ts';

/** The process of Istio's CNI node agent, as its chart installs it. */
export async function istioCniAgentPid(): Promise<number> {
  const query = ['get', 'pods', '-n', 'istio-system', '-l', 'k8s-app=istio-cni-node'];
  const [pod] = listAt(await kubectlJson(query), 'items');
  const containers = await runningContainers(textAt(pod, 'metadata', 'uid'));
  const pid = containers.find(({ name }) => name === 'install-cni')?.pid;
  if (pid === undefined) throw new Error('no pod of istio-cni-node runs in istio-system');
  return pid;
}
