import { command, tryCommand } from './command.ts';
import { LabError } from './lab-error.ts';
import { network } from './paths.ts';

/** Packets that pods tried to send beyond the bridge since `up`, all of them dropped. */
export interface EscapeCounters {
  readonly ipv4: number;
  readonly ipv6: number;
  /** Destination, protocol and port of each, `192.0.2.1 tcp 80` → packets. Only protocols with ports. */
  readonly destinations: ReadonlyMap<string, number>;
}

/**
 * Nothing leaves the machine: what comes from the bridge may go to pods, to Services and to the node itself; the rest is counted and dropped.
 * It is done at prerouting, after kube-proxy's translation (priority -100), because a destination the host has no route to never reaches
 * the forward hook. The forward chain catches Service addresses without a Service.
 */
export async function makeGuard(): Promise<void> {
  await command(['nft', '-f', '-'], { input: ruleset() });
}

/** Removes the guard and what kube-proxy left: it does not clean up when it ends. */
export async function removeTables(): Promise<void> {
  for (const table of TABLES) await tryCommand(['nft', 'delete', 'table', ...table.split(' ')]);
}

/** Names of the lab's nft tables that exist now, kube-proxy's included. */
export async function remainingTables(): Promise<string[]> {
  const { stdout } = await tryCommand(['nft', 'list', 'tables']);
  return TABLES.filter((table) => stdout.split('\n').includes(`table ${table}`));
}

/** Reads the counters from the kernel. */
export async function readEscapes(): Promise<EscapeCounters> {
  const listing: unknown = JSON.parse(await command(['nft', '-j', 'list', 'table', 'inet', network.guardTable]));
  const entries = arrayOf(property(listing, 'nftables'));
  const counters = new Map(
    entries
      .map((entry) => property(entry, 'counter'))
      .map((counter) => [property(counter, 'name'), Number(property(counter, 'packets'))]),
  );
  const ipv4 = counters.get('escaped_ipv4');
  const ipv6 = counters.get('escaped_ipv6');
  if (ipv4 === undefined || ipv6 === undefined)
    throw new LabError(`nft table ${network.guardTable} has no escape counters`);
  const sets = entries.flatMap((entry) => arrayOf(property(property(entry, 'set'), 'elem')));
  return { ipv4, ipv6, destinations: new Map(sets.map(destinationOf)) };
}

const TABLES = [`inet ${network.guardTable}`, 'ip kube-proxy', 'ip6 kube-proxy'];

function ruleset(): string {
  const from = `iifname "${network.bridge}"`;
  return `
add table inet ${network.guardTable}
delete table inet ${network.guardTable}
table inet ${network.guardTable} {
  counter escaped_ipv4 { }
  counter escaped_ipv6 { }
  set escaped_to_ipv4 { type ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; counter; }
  set escaped_to_ipv6 { type ipv6_addr . inet_proto . inet_service; size 65535; flags dynamic; counter; }
  chain escape {
    meta nfproto ipv4 meta l4proto { tcp, udp, sctp } update @escaped_to_ipv4 { ip daddr . meta l4proto . th dport }
    meta nfproto ipv6 meta l4proto { tcp, udp, sctp } update @escaped_to_ipv6 { ip6 daddr . meta l4proto . th dport }
    meta nfproto ipv4 counter name escaped_ipv4 drop
    meta nfproto ipv6 counter name escaped_ipv6 drop
  }
  chain prerouting {
    type filter hook prerouting priority -50; policy accept;
    ${from} fib daddr type { local, broadcast, multicast } accept
    ${from} ip daddr { ${network.podCidrIpv4}, ${network.serviceCidrIpv4}, 224.0.0.0/4, 255.255.255.255 } accept
    ${from} ip6 daddr { ${network.podCidrIpv6}, ${network.serviceCidrIpv6}, fe80::/10, ff00::/8 } accept
    ${from} goto escape
  }
  chain forward {
    type filter hook forward priority 10; policy accept;
    ${from} oifname != "${network.bridge}" goto escape
  }
}
`;
}

function destinationOf(element: unknown): [string, number] {
  const elem = property(element, 'elem');
  const key = arrayOf(property(property(elem, 'val'), 'concat'))
    .map(String)
    .join(' ');
  return [key, Number(property(property(elem, 'counter'), 'packets'))];
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
