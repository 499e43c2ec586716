import { ruleText } from '../backend/nft/rule-text.ts';
import type { CapturePolicy } from '../capture/policy.ts';
import type { Pod } from '../pod/pod.ts';
import type { Packet } from '../ruleset/packet.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { type MetRule, simulate, type Simulation } from '../ruleset/simulate.ts';
import { type Given, required } from './given.ts';
import { judge } from './judge.ts';
import { readNamespace, readPods } from './manifest.ts';
import { emphasis, outputOf, print, table } from './output.ts';
import { packetFor } from './trace-packet.ts';

/** `trace -f pod.yaml --from app --to tcp://10.0.0.5:443`: the rules a packet meets, the setting behind each, and where it ends. */
export async function traceVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const asked = { from: required(given, 'from'), to: required(given, 'to'), given };
  const traced = readPods(required(given, 'filename')).map(({ pod }) => trace(pod, asked));
  print(
    output,
    traced.map(({ json }) => json),
    traced.flatMap(({ text }) => text),
  );
  return 0;
}

interface Asked {
  readonly from: string;
  readonly to: string;
  readonly given: Given;
}

function trace(pod: Pod, asked: Asked): { readonly json: object; readonly text: readonly string[] } {
  const name = `${pod.namespace}/${pod.name}`;
  const desired = judge(pod, readNamespace(asked.given['namespaceFile'], pod), asked.given);
  const { reason, message } = desired.decision;
  if (desired.kind !== 'capture') {
    const why = `not captured: ${reason}: ${message}`;
    return { json: { pod: name, captured: false, reason, message }, text: [`${emphasis('bold', name)}  ${why}`] };
  }
  const packet = packetFor(pod, desired.policy, asked);
  const simulation = simulate(desired.ruleset, packet);
  const ends = endOf(simulation, packet, desired.policy);
  return {
    json: { pod: name, captured: true, policyHash: desired.ruleset.policyHash, packet, ...asJson(simulation), ends },
    text: [
      `${emphasis('bold', name)}  ${packet.protocol} from ${sender(asked.from, packet)} to ${endpoint(packet.destination)}, by ${packet.interface}`,
      ...rows(desired.ruleset, simulation.met),
      `  ends at: ${emphasis('green', ends)}`,
    ],
  };
}

function asJson({ landing, met, mark, connectionMark, zone }: Simulation): object {
  return {
    landing,
    mark,
    connectionMark,
    zone,
    rules: met.map(({ chain, index, rule }) => ({
      chain,
      position: index + 1,
      rule: words(rule),
      reason: rule.reason,
    })),
  };
}

function rows(ruleset: Ruleset, met: readonly MetRule[]): readonly string[] {
  if (met.length === 0) return [`  no rule of policy ${ruleset.policyHash} applies to it`];
  return table(
    met.map(({ chain, index, rule }) => [`  ${chain} ${index + 1}`, words(rule), `because of ${rule.reason}`]),
  );
}

function words(rule: MetRule['rule']): string {
  const { matches, verdict } = ruleText(rule);
  return [...matches, verdict].join(' ');
}

function sender(from: string, { owner, source }: Packet): string {
  const who = owner === undefined ? '' : ` (uid ${owner.uid}, gid ${owner.gid})`;
  return `${from}${who} at ${source.address}`;
}

/** In words for people who have never seen a rule. */
function endOf({ landing }: Simulation, packet: Packet, policy: CapturePolicy): string {
  const target = endpoint(packet.destination);
  switch (landing.kind) {
    case 'dropped':
      return 'nowhere: the packet is dropped';
    case 'passed':
      return packet.interface === 'lo' || packet.direction === 'inbound'
        ? `the application, at ${target}, past the proxy`
        : `${target}, past the proxy`;
    case 'redirected':
    case 'tproxied':
      return `the proxy, port ${landing.port} (${listener(landing.port, policy)}), which learns that it was meant for ${target}`;
  }
}

function listener(port: number, policy: CapturePolicy): string {
  if (port === policy.outboundPort.value) return 'its outbound listener';
  return port === policy.inboundPort.value ? 'its inbound listener' : 'its DNS server';
}

function endpoint({ address, port }: Packet['destination']): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
