import type { Desired } from '../agent/desired.ts';
import { ruleText } from '../backend/nft/rule-text.ts';
import type { CapturePolicy } from '../capture/policy.ts';
import { type Pod, podKey } from '../pod/pod.ts';
import { DNS_CAPTURE_PORT } from '../ruleset/dns.ts';
import type { Packet } from '../ruleset/packet.ts';
import type { MetRule, PassedRule, Simulation } from '../ruleset/simulate-result.ts';
import { emphasis } from './output.ts';
import { effectText, reasonText, ruleWords } from './rule-words.ts';
import type { TraceRequest } from './trace-packet.ts';

/** One pod's answer; without a journey it has no rules. */
export interface Traced {
  readonly pod: Pod;
  readonly source: string;
  readonly request: TraceRequest;
  readonly desired: Desired;
  readonly journey: (Simulation & { readonly packet: Packet }) | undefined;
}

/** For people who have never seen a rule: who sends what, each rule it meets with its reason, where it ends, and what comes next. */
export function journeyText(traced: Traced): readonly string[] {
  const { pod, desired, journey } = traced;
  const name = emphasis('bold', podKey(pod));
  const { action, reason, message } = desired.decision;
  if (desired.kind !== 'capture' || journey === undefined) {
    return [`${name}  not captured: ${reason}: ${message}`, `  ${withoutRules(action)}`];
  }
  const next = nextText(traced, desired.policy);
  return [
    `${name}  ${packetText(traced, journey.packet)}`,
    ...stepsText(journey, desired),
    `  ends at: ${emphasis('green', endText(traced))}`,
    ...(next === undefined ? [] : [`  ${next}`]),
  ];
}

/** Where the packet ends, in one line. */
export function endText({ pod, request, desired, journey }: Traced): string {
  if (desired.kind !== 'capture' || journey === undefined) return 'where it was sent to';
  const { landing, packet } = journey;
  const target = endpoint(pod, request, packet);
  switch (landing.kind) {
    case 'dropped':
      return 'nowhere: it is dropped';
    case 'passed':
      return passedText(target, packet, request);
    case 'redirected':
      return `the proxy, port ${landing.port} (${listenerName(landing.port, desired.policy)}), which learns the original destination ${target}`;
    case 'tproxied':
      return `the proxy, port ${landing.port} (${listenerName(landing.port, desired.policy)}), with source and destination as they were sent`;
  }
}

function passedText(target: string, { direction, interface: name }: Packet, { from }: TraceRequest): string {
  if (direction === 'inbound') return `what listens at ${target}, directly: it does not pass through the proxy`;
  if (from === 'proxy') return `${target}: what the proxy sends is let through`;
  return name === 'lo'
    ? `${target}, within the pod: it does not pass through the proxy`
    : `${target}, directly: it does not pass through the proxy`;
}

function listenerName(port: number, { outboundPort, inboundPort, dns }: CapturePolicy): string {
  if (port === outboundPort.value) return 'outbound listener';
  if (port === inboundPort.value) return 'inbound listener';
  return port === DNS_CAPTURE_PORT && dns.value.kind !== 'off' ? 'DNS server' : 'listener';
}

function packetText({ pod, request }: Traced, packet: Packet): string {
  const what = packet.protocol === 'tcp' ? 'a TCP connection' : 'a UDP packet';
  const target = endpoint(pod, request, packet);
  if (packet.owner === undefined) return `${what} from outside to ${target}, arriving by ${packet.interface}`;
  const who = request.from === 'app' ? 'the application' : 'the proxy';
  return `${what} of ${who} (uid ${packet.owner.uid}, gid ${packet.owner.gid}) to ${target}, leaving by ${packet.interface}`;
}

/** `pod:8080` where the manifest knows no such address of the pod. */
function endpoint(pod: Pod, { host }: TraceRequest, { destination: { address, port } }: Packet): string {
  // The address is one for documentation then.
  if ((host === 'pod' || host === 'pod6') && !pod.podIPs.includes(address)) return `${host}:${port}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function stepsText({ met, passed }: Simulation, { decision }: Desired): readonly string[] {
  const asked = [...met.keys(), met.length].flatMap((count) => {
    const rule = met[count];
    const comesBack = rule?.hook === 'prerouting' && met[count - 1]?.hook === 'output';
    return [
      ...passed.filter(({ metBefore }) => metBefore === count).flatMap(passedOverText),
      ...(comesBack ? ['  it stays in the pod and comes back by lo:'] : []),
      ...(rule === undefined ? [] : metText(rule, { hasZone: met.slice(0, count).some(choosesZone) })),
    ];
  });
  if (met.length > 0) return asked;
  return [...asked, `  no rule applies to it${decision.reason === 'CaptureNone' ? `: ${decision.message}` : ''}`];
}

function metText({ chain, index, rule }: MetRule, { hasZone }: { readonly hasZone: boolean }): readonly string[] {
  const place = `  ${chain} ${index + 1}`;
  const effect =
    rule.verdict.kind === 'zone' && hasZone ? 'nothing, for it has a zone already' : effectText(rule.verdict);
  return [`${place}  ${reasonText(rule.reason)}: ${effect}`, `      ${emphasis('dim', ruleWords(rule))}`];
}

function choosesZone({ rule }: MetRule): boolean {
  return rule.verdict.kind === 'zone';
}

function passedOverText({ chain, index, rule, failed }: PassedRule): readonly string[] {
  const why =
    failed === undefined
      ? 'for nothing listens there'
      : `not ${ruleText({ ...rule, matches: [failed] }).matches.join(' ')}`;
  return [emphasis('dim', `  ${chain} ${index + 1}  ${reasonText(rule.reason)}: does not apply, ${why}`)];
}

function withoutRules(action: Desired['decision']['action']): string {
  return action === 'refuse'
    ? 'the gate stays shut until that is put right: no container behind it starts'
    : 'there are no rules: every packet goes where it was sent';
}

const OWN_CONNECTION = {
  redirected: ', within the pod (see --from proxy --to tcp://localhost:PORT)',
  tproxied: ', with the address of the client',
} as const;

/** What the reader would ask next. */
function nextText({ request: { from, protocol }, journey }: Traced, policy: CapturePolicy): string | undefined {
  if (journey === undefined) return undefined;
  const { landing, packet } = journey;
  if (from === 'app' && isProxy(packet.owner, policy)) {
    return `note: it runs under an id of the proxy (uids ${policy.proxyUids.value.join()}, gids ${policy.proxyGids.value.join()}), whose traffic is exempt`;
  }
  if (landing.kind === 'passed' && protocol === 'udp' && from !== 'proxy') {
    return policy.dns.value.kind === 'off'
      ? 'note: no UDP is captured; DNS would be with ISTIO_META_DNS_CAPTURE'
      : 'note: of UDP only DNS is captured';
  }
  if (landing.kind !== 'redirected' && landing.kind !== 'tproxied') return undefined;
  if (from === 'outside')
    return `then: the proxy opens a connection of its own to the application${OWN_CONNECTION[landing.kind]}`;
  return from === 'app' ? 'then: what the proxy sends on is let through (see --from proxy)' : undefined;
}

function isProxy(owner: Packet['owner'], { proxyUids, proxyGids }: CapturePolicy): boolean {
  return owner !== undefined && (proxyUids.value.includes(owner.uid) || proxyGids.value.includes(owner.gid));
}
