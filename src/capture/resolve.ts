import type { Pod } from '../pod/pod.ts';
import { parseCidrSelection, parseCidrs, parseLoopbackRange } from './cidr.ts';
import { dnsCapture } from './dns.ts';
import { proxyGids, proxyUids } from './identity.ts';
import {
  annotation,
  argument,
  environment,
  fallbackOf,
  firstOf,
  type Inputs,
  inputsOf,
  istioDefault,
  switchOf,
  unlessEmpty,
} from './inputs.ts';
import { parseInterfaces } from './interfaces.ts';
import { ARGUMENTS } from './istio-flags.ts';
import { ownerGroups } from './owner-groups.ts';
import { parsePort, parsePortSelection, parsePorts } from './ports.ts';
import type { CaptureDefaults, CapturePolicy, PolicyResult, Problem, Sourced } from './policy.ts';
import { rerouteLimit } from './reroute-limit.ts';
import { tproxySettings } from './tproxy.ts';
import { VARIABLES } from './variables.ts';
import { parseBoolean, parseMode } from './words.ts';

/** Istio's annotations that shape capture, and our overrides; `docs/annotations.md` is tested against this table. */
export const ANNOTATIONS = {
  outboundPort: 'pod-network-controller.istio.io/envoy-port',
  inboundPort: 'pod-network-controller.istio.io/inbound-port',
  mode: 'sidecar.istio.io/interceptionMode',
  inboundPorts: 'traffic.sidecar.istio.io/includeInboundPorts',
  excludeInboundPorts: 'traffic.sidecar.istio.io/excludeInboundPorts',
  outboundPorts: 'traffic.sidecar.istio.io/includeOutboundPorts',
  excludeOutboundPorts: 'traffic.sidecar.istio.io/excludeOutboundPorts',
  outboundRanges: 'traffic.sidecar.istio.io/includeOutboundIPRanges',
  excludeOutboundRanges: 'traffic.sidecar.istio.io/excludeOutboundIPRanges',
  excludeInterfaces: 'traffic.sidecar.istio.io/excludeInterfaces',
  rerouteInterfaces: 'istio.io/reroute-virtual-interfaces',
  rerouteInterfacesOld: 'traffic.sidecar.istio.io/kubevirtInterfaces',
  statusPort: 'status.sidecar.istio.io/port',
} as const;

/** Envoy's own listeners, which Istio's CNI excludes from inbound capture: pilot-agent, readiness, Prometheus. */
const PROXY_PORTS = [15_020, 15_021, 15_090];
/** Istio's CNI excludes it from outbound capture where nothing is said; istio-init does not (docs/differences.md). */
const CNI_EXCLUDED_OUTBOUND_PORTS = [15_020];

const ALL = { all: true } as const;

export interface ResolveOptions {
  readonly sidecarName: string;
  /** Of the pod's resolv.conf; undefined: not known. Texts that are no addresses are passed over. */
  readonly nameservers?: readonly string[] | undefined;
}

/** All settings of a pod, strongest place first; or every setting that cannot be used. Pure and total. */
export function resolvePolicy(pod: Pod, defaults: CaptureDefaults, options: ResolveOptions): PolicyResult {
  const inputs = inputsOf(pod, options.sidecarName);
  const problems: Problem[] = [];
  const policy: CapturePolicy = {
    ...portsOfProxy(inputs, defaults, problems),
    mode: firstOf(
      [
        unlessEmpty(argument(inputs, ARGUMENTS.mode)),
        annotation(inputs, ANNOTATIONS.mode),
        // What the sidecar itself goes by. With NONE for the whole mesh (ProxyConfig) nothing else in the pod says so.
        environment(inputs, VARIABLES.interceptionMode),
      ],
      parseMode,
      fallbackOf({ name: 'istio-inbound-interception-mode', value: defaults.mode }, 'REDIRECT'),
      problems,
    ),
    proxyUids: proxyUids(inputs, problems),
    proxyGids: proxyGids(inputs, problems),
    ...inbound(inputs, defaults, problems),
    ...outbound(inputs, defaults, problems),
    ...interfaces(inputs, problems),
    loopbackRange: firstOf(
      [environment(inputs, VARIABLES.loopbackRange)],
      parseLoopbackRange,
      istioDefault({ family: 4, address: '127.0.0.1', prefix: 32 }),
      problems,
    ),
    ipv6: ipv6(inputs, defaults, problems),
    dns: dnsCapture(inputs, options.nameservers, problems),
    dropInvalid: firstOf(
      switchOf(inputs, ARGUMENTS.dropInvalid, VARIABLES.dropInvalid),
      parseBoolean,
      istioDefault(false),
      problems,
    ),
    ...ownerGroups(inputs, problems),
    ...tproxySettings(inputs, problems),
  };
  problems.push(...rerouteLimit(policy.rerouteInterfaces, policy.outboundRanges), ...unknownArguments(inputs));
  if (inputs.unreadable !== undefined) problems.push(inputs.unreadable);
  const [first, ...more] = problems;
  return first === undefined ? { ok: true, policy } : { ok: false, problems: [first, ...more] };
}

function portsOfProxy(inputs: Inputs, defaults: CaptureDefaults, problems: Problem[]) {
  return {
    outboundPort: firstOf(
      [annotation(inputs, ANNOTATIONS.outboundPort, 'override'), argument(inputs, ARGUMENTS.outboundPort)],
      parsePort,
      fallbackOf({ name: 'envoy-port', value: defaults.outboundPort }, 15_001),
      problems,
    ),
    inboundPort: firstOf(
      [annotation(inputs, ANNOTATIONS.inboundPort, 'override'), argument(inputs, ARGUMENTS.inboundPort)],
      parsePort,
      istioDefault(15_006),
      problems,
    ),
    tunnelPort: firstOf([argument(inputs, ARGUMENTS.tunnelPort)], parsePort, istioDefault(15_008), problems),
  };
}

function inbound(inputs: Inputs, defaults: CaptureDefaults, problems: Problem[]) {
  return {
    inboundPorts: firstOf(
      [argument(inputs, ARGUMENTS.inboundPorts), annotation(inputs, ANNOTATIONS.inboundPorts)],
      parsePortSelection,
      fallbackOf({ name: 'istio-include-inbound-ports', value: defaults.inboundPorts }, ALL),
      problems,
    ),
    excludeInboundPorts: excludeInboundPorts(inputs, defaults, problems),
  };
}

/** Istio's arguments hold the whole list; without them the proxy's own ports are added, as Istio's CNI does. */
function excludeInboundPorts(
  inputs: Inputs,
  defaults: CaptureDefaults,
  problems: Problem[],
): Sourced<readonly number[]> {
  const resolved = argument(inputs, ARGUMENTS.excludeInboundPorts);
  const fallback = fallbackOf<readonly number[]>(
    { name: 'istio-exclude-inbound-ports', value: defaults.excludeInboundPorts },
    [],
  );
  const said = firstOf([resolved, annotation(inputs, ANNOTATIONS.excludeInboundPorts)], parsePorts, fallback, problems);
  if (resolved !== undefined) return said;
  const ports = new Set([...said.value, ...PROXY_PORTS, ...statusPort(inputs, problems)]);
  return { value: [...ports].toSorted((a, b) => a - b), source: said.source };
}

function statusPort(inputs: Inputs, problems: Problem[]): readonly number[] {
  const candidate = annotation(inputs, ANNOTATIONS.statusPort);
  // "0" switches Istio's status port off.
  if (candidate === undefined || candidate.raw === '0') return [];
  return [firstOf([candidate], parsePort, istioDefault(15_020), problems).value];
}

function outbound(inputs: Inputs, defaults: CaptureDefaults, problems: Problem[]) {
  // The injector passes -o only where an annotation or the chart says something: an argument list without it leaves the plugin's default.
  const unsaid = inputs.injectedForCni ? CNI_EXCLUDED_OUTBOUND_PORTS : [];
  return {
    outboundPorts: firstOf(
      [argument(inputs, ARGUMENTS.outboundPorts), annotation(inputs, ANNOTATIONS.outboundPorts)],
      parsePorts,
      istioDefault([]),
      problems,
    ),
    excludeOutboundPorts: firstOf<readonly number[]>(
      [argument(inputs, ARGUMENTS.excludeOutboundPorts), annotation(inputs, ANNOTATIONS.excludeOutboundPorts)],
      parsePorts,
      istioDefault(unsaid),
      problems,
    ),
    outboundRanges: firstOf(
      [argument(inputs, ARGUMENTS.outboundRanges), annotation(inputs, ANNOTATIONS.outboundRanges)],
      parseCidrSelection,
      fallbackOf({ name: 'istio-include-outbound-ip-ranges', value: defaults.outboundRanges }, ALL),
      problems,
    ),
    excludeOutboundRanges: firstOf(
      [argument(inputs, ARGUMENTS.excludeOutboundRanges), annotation(inputs, ANNOTATIONS.excludeOutboundRanges)],
      parseCidrs,
      fallbackOf({ name: 'istio-exclude-outbound-ip-ranges', value: defaults.excludeOutboundRanges }, []),
      problems,
    ),
  };
}

function interfaces(inputs: Inputs, problems: Problem[]) {
  const reroute =
    annotation(inputs, ANNOTATIONS.rerouteInterfaces) ?? annotation(inputs, ANNOTATIONS.rerouteInterfacesOld);
  return {
    excludeInterfaces: firstOf(
      [argument(inputs, ARGUMENTS.excludeInterfaces), annotation(inputs, ANNOTATIONS.excludeInterfaces)],
      parseInterfaces,
      istioDefault([]),
      problems,
    ),
    rerouteInterfaces: firstOf(
      [argument(inputs, ARGUMENTS.rerouteInterfaces), reroute],
      parseInterfaces,
      istioDefault([]),
      problems,
    ),
  };
}

/** Always, unless the operator wants Istio's own gap back: there IPv6 is left alone without dual stack or an IPv6 primary address. */
function ipv6(inputs: Inputs, defaults: CaptureDefaults, problems: Problem[]): Sourced<boolean> {
  const candidates = switchOf(inputs, ARGUMENTS.dualStack, VARIABLES.dualStack);
  const dualStack = firstOf(candidates, parseBoolean, istioDefault(false), problems);
  const source = { kind: 'flag', key: '--ipv6', raw: defaults.ipv6 } as const;
  if (defaults.ipv6 === 'both') return { value: true, source };
  const [firstIp] = inputs.pod.podIPs;
  // As long as no address is known, IPv6 is captured: an IPv6-only pod must not start outside of the mesh.
  if (firstIp === undefined || firstIp.includes(':')) return { value: true, source };
  return dualStack.value ? dualStack : { value: false, source };
}

/** A command line of nothing else must not fill an Event: the rest is counted. */
const UNKNOWN_SHOWN_MAX = 8;

/** Arguments that may hold a setting nobody here knows: to ignore one would be a silent difference. */
function unknownArguments(inputs: Inputs): readonly Problem[] {
  const unknown = inputs.istioArguments?.unknown ?? [];
  const shown = unknown.slice(0, UNKNOWN_SHOWN_MAX);
  const more = unknown.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map((word) => ({
    key: 'istio-iptables argument',
    value: word,
    allowed: 'a flag of istio-iptables that this version knows',
    source: 'argument',
  }));
}
