import { isPlainAbsolutePath, usableIps } from '../cri/verbose-info.ts';
import { type Container, ContainerState, type PodSandbox } from './gen/nri_pb.ts';
import type { ToldContainer, ToldContainerState, ToldSandbox } from './plugin-hooks.ts';

/** The runtime's words in ours. A hook must not fail for what it was told: what is of the wrong form counts as not told. */
export function toldSandbox(pod: PodSandbox): ToldSandbox {
  const netnsPath = pod.linux?.namespaces.find(({ type }) => type === 'network')?.path;
  return {
    id: pod.id,
    podName: pod.name,
    podUid: pod.uid,
    podNamespace: pod.namespace,
    labels: pod.labels,
    annotations: pod.annotations,
    runtimeHandler: pod.runtimeHandler,
    netnsPath: netnsPath !== undefined && isPlainAbsolutePath(netnsPath) ? netnsPath : undefined,
    ips: usableIps(pod.ips),
    pid: pod.pid,
  };
}

export function toldContainer(container: Container): ToldContainer {
  return {
    id: container.id,
    sandboxId: container.podSandboxId,
    name: container.name,
    state: toldState(container.state),
  };
}

function toldState(state: ContainerState): ToldContainerState {
  switch (state) {
    case ContainerState.CONTAINER_CREATED:
      return 'created';
    case ContainerState.CONTAINER_PAUSED:
      return 'paused';
    case ContainerState.CONTAINER_RUNNING:
      return 'running';
    case ContainerState.CONTAINER_STOPPED:
      return 'stopped';
    case ContainerState.CONTAINER_UNKNOWN:
    // A state of a later version.
    default:
      return 'unknown';
  }
}
