import { type CapturePolicy, NO_DEFAULTS } from '../../src/capture/policy.ts';
import { resolvePolicy } from '../../src/capture/resolve.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';
import { LINKS } from './places.ts';

/** What Istio's tool is told about a pod: its arguments, and what it takes from environment and resolv.conf. */
export interface Inputs {
  readonly mode: 'REDIRECT' | 'TPROXY';
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly tunnelPort: number;
  /** At least one of each. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly inboundPorts: '*' | readonly number[];
  readonly excludeInboundPorts: readonly number[];
  readonly outboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  readonly outboundRanges: '*' | readonly string[];
  readonly excludeOutboundRanges: readonly string[];
  readonly excludeInterfaces: readonly string[];
  readonly rerouteInterfaces: readonly string[];
  readonly tproxyMark: number;
  readonly tproxyRouteTable: number;
  /** `servers`: only those of `nameServers`. */
  readonly dns: 'off' | 'all' | 'servers';
  readonly nameServers: readonly string[];
  readonly dropInvalid: boolean;
  readonly dualStack: boolean;
  readonly ownerGroups: '*' | readonly number[];
  readonly excludeOwnerGroups: readonly number[];
  readonly loopbackRange: string;
}

export const PLAIN: Inputs = {
  mode: 'REDIRECT',
  outboundPort: 15_001,
  inboundPort: 15_006,
  tunnelPort: 15_008,
  uids: [1337],
  gids: [1337],
  inboundPorts: '*',
  excludeInboundPorts: [],
  outboundPorts: [],
  excludeOutboundPorts: [],
  outboundRanges: '*',
  excludeOutboundRanges: [],
  excludeInterfaces: [],
  rerouteInterfaces: [],
  tproxyMark: 1337,
  tproxyRouteTable: 133,
  dns: 'off',
  nameServers: ['203.0.113.53'],
  dropInvalid: false,
  dualStack: true,
  ownerGroups: '*',
  excludeOwnerGroups: [],
  loopbackRange: '127.0.0.1/32',
};

/** The arguments of `istio-iptables`. */
export function argumentsOf(inputs: Inputs): readonly string[] {
  const list = (value: '*' | readonly (string | number)[]): string => (value === '*' ? '*' : value.join(','));
  return [
    ...['-p', String(inputs.outboundPort), '-z', String(inputs.inboundPort), '-e', String(inputs.tunnelPort)],
    ...['-u', list(inputs.uids), '-g', list(inputs.gids), '-m', inputs.mode],
    ...['-b', list(inputs.inboundPorts), '-d', list(inputs.excludeInboundPorts)],
    ...['-i', list(inputs.outboundRanges), '-x', list(inputs.excludeOutboundRanges)],
    ...['-q', list(inputs.outboundPorts), '-o', list(inputs.excludeOutboundPorts)],
    ...['-c', list(inputs.excludeInterfaces), '-k', list(inputs.rerouteInterfaces)],
    ...['-t', String(inputs.tproxyMark), '-r', String(inputs.tproxyRouteTable)],
    ...(inputs.dns === 'off' ? [] : ['--redirect-dns']),
    ...(inputs.dns === 'all' ? ['--capture-all-dns'] : []),
    ...(inputs.dropInvalid ? ['--drop-invalid'] : []),
    ...(inputs.dualStack ? ['--dual-stack'] : []),
  ];
}

/** What has no argument. */
export function environmentOf(inputs: Inputs): Readonly<Record<string, string>> {
  const { ownerGroups, excludeOwnerGroups, loopbackRange } = inputs;
  return {
    ...(ownerGroups === '*' ? {} : { ISTIO_OUTBOUND_OWNER_GROUPS: ownerGroups.join(',') }),
    ...(excludeOwnerGroups.length === 0 ? {} : { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: excludeOwnerGroups.join(',') }),
    ...(loopbackRange === PLAIN.loopbackRange ? {} : { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: loopbackRange }),
  };
}

/** The policy of a pod that carries these arguments, by the way the agent goes. */
export function policyOf(inputs: Inputs): CapturePolicy {
  const env = Object.entries(environmentOf(inputs)).map(([name, value]) => ({ name, value }));
  const pod = parsePod({
    metadata: { name: 'a' },
    spec: {
      initContainers: [{ name: 'istio-init', args: ['istio-iptables', ...argumentsOf(inputs)], env }],
      containers: [{ name: 'app' }, { name: 'istio-proxy' }],
    },
    status: { podIPs: [{ ip: LINKS.eth0[4].pod }, { ip: LINKS.eth0[6].pod }] },
  });
  const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy', nameservers: inputs.nameServers });
  if (!result.ok) throw new Error(`these inputs are refused: ${JSON.stringify(result.problems)}`);
  return result.policy;
}
