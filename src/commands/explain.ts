import type { Desired } from '../agent/desired.ts';
import { cutToBytes } from '../cut-text.ts';
import type { CapturePolicy, Cidr, DnsCapture, Selection, Source } from '../capture/policy.ts';
import { podKey } from '../pod/pod.ts';
import type { Given } from './given.ts';
import { judgePods } from './judge.ts';
import { emphasis, outputOf, print, table } from './output.ts';

/** `explain -f pod.yaml`: decision and reason, then each effective value and where it comes from. */
export async function explainVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const explained = judgePods(given).map(({ pod, source, desired }) => ({ pod: podKey(pod), source, desired }));
  print(
    output,
    explained.map((one) => ({ pod: one.pod, source: one.source, ...asJson(one.desired) })),
    [
      ...explained.flatMap((one) => asText(one.pod, one.desired)),
      ...(explained.some((one) => one.desired.decision.reason === 'NoSidecar') ? [NOT_INJECTED] : []),
    ],
  );
  return 0;
}

function asJson(desired: Desired): object {
  const { action, reason, message } = desired.decision;
  if (desired.kind !== 'capture') return { action, reason, message };
  return { action, reason, message, policyHash: desired.ruleset.policyHash, policy: desired.policy };
}

function asText(pod: string, desired: Desired): string[] {
  const { action, reason, message } = desired.decision;
  const style = action === 'enroll' ? 'green' : action === 'refuse' ? 'red' : 'yellow';
  const head = `${emphasis('bold', pod)}  ${emphasis(style, `${action} ${reason}`)}  ${message}`;
  if (desired.kind !== 'capture') return [head];
  const [title = '', ...rows] = table([['setting', 'value', 'from'], ...policyRows(desired.policy)]);
  return [
    head,
    `  policy ${desired.ruleset.policyHash}`,
    `  ${emphasis('bold', title)}`,
    ...rows.map((row) => `  ${row}`),
  ];
}

const NOT_INJECTED =
  'A manifest has the proxy once Istio has injected it: kubectl get pod NAME -o yaml, or istioctl kube-inject -f FILE.';

/** In the order in which people ask. */
const LABELS: Readonly<Record<keyof CapturePolicy, string>> = {
  mode: 'interception mode',
  outboundPort: 'outbound traffic goes to port',
  inboundPort: 'inbound traffic goes to port',
  proxyUids: 'uids of the proxy',
  proxyGids: 'gids of the proxy',
  inboundPorts: 'captured inbound ports',
  excludeInboundPorts: 'excluded inbound ports',
  outboundRanges: 'captured destinations',
  outboundPorts: 'also captured outbound ports',
  excludeOutboundPorts: 'excluded outbound ports',
  excludeOutboundRanges: 'excluded destinations',
  dns: 'captured DNS queries',
  ipv6: 'IPv6 is captured',
  excludeInterfaces: 'excluded interfaces',
  rerouteInterfaces: 'interfaces treated as outbound',
  ownerGroups: 'captured groups of processes',
  excludeOwnerGroups: 'excluded groups of processes',
  dropInvalid: 'invalid packets are dropped',
  loopbackRange: 'IPv4 loopback',
  tunnelPort: 'tunnel port, never captured',
  tproxyMark: 'mark of TPROXY',
  tproxyRouteTable: 'route table of TPROXY',
};

const TPROXY_ONLY: ReadonlySet<string> = new Set<keyof CapturePolicy>(['tproxyMark', 'tproxyRouteTable']);

function policyRows(policy: CapturePolicy): string[][] {
  const known = (key: string): key is keyof CapturePolicy => key in policy;
  return Object.entries(LABELS).flatMap(([key, label]) => {
    if (!known(key) || (TPROXY_ONLY.has(key) && policy.mode.value !== 'TPROXY')) return [];
    const { value, source } = policy[key];
    return [[label, valueText(value), sourceText(source)]];
  });
}

function sourceText(source: Source): string {
  if (source.kind === 'default') return "Istio's default";
  const raw = cutToBytes(source.raw === '' ? '""' : source.raw.replaceAll(/\s+/g, ' '), RAW_BYTES_MAX);
  // A path such as istio-proxy.securityContext.runAsUser says what it is.
  return source.kind === 'securityContext' ? `${source.key} = ${raw}` : `${source.kind} ${source.key} = ${raw}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (isSelection(value)) return value.all ? '* (all)' : listText(value.items);
  if (Array.isArray(value)) return listText(value);
  if (isDns(value)) return value.kind === 'servers' ? `only to ${listText(value.servers.map(addressOf))}` : value.kind;
  if (isCidr(value)) return `${value.address}/${value.prefix}`;
  return String(value);
}

function listText(items: readonly unknown[]): string {
  if (items.length === 0) return 'none';
  const more = items.length > LISTED_MAX ? [`and ${items.length - LISTED_MAX} more`] : [];
  return [...items.slice(0, LISTED_MAX).map(valueText), ...more].join(', ');
}

/** A line stays one a person can read; `-o json` has all. */
const LISTED_MAX = 8;
const RAW_BYTES_MAX = 80;

function addressOf({ address }: Cidr): string {
  return address;
}

function isDns(value: unknown): value is DnsCapture {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function isSelection(value: unknown): value is Selection<unknown> {
  return typeof value === 'object' && value !== null && 'all' in value;
}

function isCidr(value: unknown): value is Cidr {
  return typeof value === 'object' && value !== null && 'prefix' in value;
}
