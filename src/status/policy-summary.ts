import type { CapturePolicy, Cidr, Selection } from '../capture/policy.ts';

/** What is captured, in some words: mode, inbound ports, outbound destinations, DNS. `explain` has the rest. */
export function policySummary(policy: CapturePolicy): string {
  const mode = policy.mode.value;
  if (mode === 'NONE') return mode;
  const dns = policy.dns.value.kind === 'off' ? [] : ['dns'];
  const inbound = selection(policy.inboundPorts.value, String);
  const outbound = selection(policy.outboundRanges.value, rangeText);
  return [mode, `in=${inbound}`, `out=${outbound}${portsText(policy)}`, ...dns].join(',');
}

/** Ports that are captured whatever the destination, and those that never are. */
function portsText({ outboundPorts, excludeOutboundPorts }: CapturePolicy): string {
  const more = outboundPorts.value.length === 0 ? '' : `+:${short(outboundPorts.value.map(String))}`;
  const less = excludeOutboundPorts.value.length === 0 ? '' : `-:${short(excludeOutboundPorts.value.map(String))}`;
  return more + less;
}

function selection<T>(chosen: Selection<T>, text: (item: T) => string): string {
  if (chosen.all) return '*';
  return chosen.items.length === 0 ? 'none' : short(chosen.items.map(text));
}

/** A column stays one a person can read. */
const LISTED_MAX = 2;

function short(items: readonly string[]): string {
  const more = items.length > LISTED_MAX ? [`+${items.length - LISTED_MAX}`] : [];
  return [...items.slice(0, LISTED_MAX), ...more].join('/');
}

function rangeText({ address, prefix }: Cidr): string {
  return `${address}/${prefix}`;
}
