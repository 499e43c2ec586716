import { type Check, counted, fail, given, isBelow, listed, majorMinor, ok, warn } from './check.ts';
import type { NodeFacts } from './facts.ts';

/** SO_NETNS_COOKIE, by which a netns is known without doubt. RHEL 9 has it, RHEL 8 does not. */
const OLDEST_KERNEL = [5, 14] as const;
const OLDEST_CONTAINERD = [1, 6] as const;
/** The chart's own value. */
const DEFAULT_SOCKET = '/run/containerd/containerd.sock';

export const NODE_CHECKS: readonly Check[] = [
  {
    id: 'node-platform',
    group: 'Nodes',
    means: 'Nodes for mesh pods run Linux on amd64 or arm64: the image is built for those.',
    wayOut: 'Keep mesh pods off other nodes; `agent.nodeSelector` keeps the agent off.',
    run: ({ nodes }) =>
      given([nodes], (all) => {
        const linux = all.filter(({ os }) => os === 'linux');
        const other = all.filter(({ os, arch }) => os !== 'linux' || !['amd64', 'arm64'].includes(arch));
        if (linux.length === 0) return fail('no node runs Linux', 'The agent needs Linux nodes.');
        if (other.length === 0)
          return ok(`${counted(all.length, 'node')}, linux on ${listed(distinct(all, ({ arch }) => arch))}`);
        const names = other.map(({ name, os, arch }) => `${name} (${os}/${arch})`);
        const wayOut = 'Mesh pods must not be scheduled there; agent.nodeSelector keeps the agent off those nodes.';
        return warn(`no image for ${listed(names)}`, wayOut);
      }),
  },
  {
    id: 'node-kernel',
    group: 'Nodes',
    means: 'Linux 5.14 or newer, which names network namespaces by a cookie that is never used twice.',
    wayOut: 'Update the nodes (RHEL 9, Ubuntu 22.04, Debian 12 or newer have it).',
    run: ({ nodes }) =>
      given([nodes], (all) => {
        const linux = all.filter(({ os }) => os === 'linux');
        const old = linux.filter(({ kernel }) => isBelow(majorMinor(kernel) ?? [0, 0], OLDEST_KERNEL));
        if (old.length === 0) return ok(listed(distinct(linux, ({ kernel }) => kernel)));
        const names = old.map(({ name, kernel }) => `${name} (${kernel})`);
        return fail(
          `older than 5.14: ${listed(names)}`,
          'Update these nodes, or keep mesh pods and the agent off them.',
        );
      }),
  },
  {
    id: 'node-runtime',
    group: 'Nodes',
    means:
      "containerd 1.6 or newer, CRI-O, or Docker by way of cri-dockerd: runtimes that say where a pod's network namespace is.",
    wayOut:
      'Nodes with Docker need `agent.docker.enabled`: [runtimes.md](runtimes.md). Move others to one of these, or keep mesh pods off them.',
    run: ({ nodes }) => given([nodes], judgeRuntimes),
  },
  {
    id: 'runtime-validator',
    group: 'Nodes',
    means:
      "Only for `gate.mode: runtime`, which puts no gate into pods: the container runtime has NRI's default validator (containerd 2.2, CRI-O 1.34). " +
      'Whether it is switched on cannot be seen from outside.',
    wayOut:
      'Switch it on, try it, and label those nodes: [gateless.md](gateless.md). Leave `gate.mode` at `container` elsewhere.',
    run: ({ nodes }) => given([nodes], judgeValidators),
  },
  {
    id: 'runtime-socket',
    group: 'Nodes',
    means:
      "Where the runtime's socket is. It cannot be seen from outside; this is what kind of node the names of runtime and kubelet tell of.",
    wayOut:
      'Set `agent.criSocket`. Nodes of several kinds need one release of the chart each, with `agent.nodeSelector`.',
    run: ({ nodes }) => given([nodes], judgeSockets),
  },
];

function judgeRuntimes(all: readonly NodeFacts[]) {
  const linux = all.filter(({ os }) => os === 'linux');
  const old = linux.filter(({ runtime }) => {
    const version = /^containerd:\/\/(.*)$/.exec(runtime)?.[1];
    return version !== undefined && isBelow(majorMinor(version) ?? OLDEST_CONTAINERD, OLDEST_CONTAINERD);
  });
  if (old.length > 0)
    return fail(
      `older than containerd 1.6: ${listed(old.map(({ name, runtime }) => `${name} (${runtime})`))}`,
      'Update containerd on these nodes.',
    );
  const odd = linux.filter(({ runtime }) => !/^(containerd|cri-o|docker):\/\//.test(runtime));
  if (odd.length > 0)
    return warn(
      `nobody has seen this work: ${listed(odd.map(({ name, runtime }) => `${name} (${runtime})`))}`,
      'Move these nodes to containerd, CRI-O or Docker with cri-dockerd, or keep mesh pods off them.',
    );
  const docker = linux.filter(({ runtime }) => runtime.startsWith('docker://'));
  if (docker.length > 0)
    return warn(
      `the chart must be told of Docker: ${listed(docker.map(({ name, runtime }) => `${name} (${runtime})`))}`,
      'Set agent.docker.enabled=true in the release of the chart for these nodes.',
    );
  return ok(listed(distinct(linux, ({ runtime }) => runtime)));
}

/** Never a failure: by default pods have a gate, and no runtime needs the validator. */
function judgeValidators(all: readonly NodeFacts[]) {
  const linux = all.filter(({ os }) => os === 'linux');
  const without = linux.filter(({ runtime }) => !mayHaveValidator(runtime));
  if (without.length > 0)
    return ok(`not for gate.mode=runtime: ${listed(without.map(({ name, runtime }) => `${name} (${runtime})`))}`);
  return ok(
    'every runtime could have it; whether it is switched on only a node can tell, and only gate.mode=runtime needs it',
  );
}

function mayHaveValidator(runtime: string): boolean {
  const [, kind, version] = /^(containerd|cri-o):\/\/(.*)$/.exec(runtime) ?? [];
  const found = majorMinor(version ?? '');
  return found !== undefined && !isBelow(found, kind === 'containerd' ? [2, 2] : [1, 34]);
}

function judgeSockets(all: readonly NodeFacts[]) {
  const sockets = distinct(
    all.filter(({ os }) => os === 'linux'),
    socketOf,
  );
  const [first, ...others] = sockets;
  if (first === undefined) return ok('no Linux node');
  if (others.length > 0)
    return warn(
      `several kinds of nodes, probably with ${listed(sockets)}`,
      'One release of the chart for each kind, with its own agent.criSocket and agent.nodeSelector.',
    );
  if (first === DEFAULT_SOCKET) return ok(`probably ${first}, as the chart has it; only a node can tell`);
  return warn(`probably ${first}, not where the chart looks`, `Set agent.criSocket=${first}.`);
}

/** By what distributions call themselves in versions: they put the socket elsewhere. */
function socketOf({ runtime, kubelet, osImage }: NodeFacts): string {
  if (runtime.startsWith('docker://')) return '/var/run/cri-dockerd.sock';
  if (runtime.startsWith('cri-o://')) return '/var/run/crio/crio.sock';
  if (/\+(k3s|rke2)/.test(kubelet)) return '/run/k3s/containerd/containerd.sock';
  if (/\+k0s/.test(kubelet)) return '/run/k0s/containerd.sock';
  if (/microk8s/i.test(kubelet) || /microk8s/i.test(osImage)) return '/var/snap/microk8s/common/run/containerd.sock';
  return DEFAULT_SOCKET;
}

function distinct(nodes: readonly NodeFacts[], of: (node: NodeFacts) => string): readonly string[] {
  return [...new Set(nodes.map(of))].toSorted();
}
