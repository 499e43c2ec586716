import { spawnSync } from 'node:child_process';
import { loadLibnftables } from '../../src/backend/nft/libnftables.ts';
import { libc } from '../../src/netns/libc.ts';
import { message, NLM_F_ACK, NLM_F_REQUEST } from '../../src/netns/netlink.ts';
import { NETLINK_NETFILTER, withNetlink } from '../../src/netns/netlink-socket.ts';
import { enterNetns, type Netns, openNetns } from '../../src/netns/netns.ts';
import { createBareNetns, createLab } from '../support/netns-lab.ts';
import { awaitAddresses } from './await-addresses.ts';
import { type Family, LINKS } from './places.ts';
import { ANY, listenOn, TCP, UDP } from './sockets.ts';

/** A pod with a second network and a guest, and around it everything its packets can reach. */
export interface World {
  /** Name of the pod's netns below /run/netns. */
  readonly name: string;
  /** Runs work inside one of the netns; synchronous. */
  inside<T>(place: Place, work: () => T): T;
  /** Sockets that take whatever arrives outside of the pod, for any address and port. */
  readonly catchers: readonly Listener[];
  /** The pod as it was made: no rules but the witness, no connections remembered. */
  reset(): void;
  close(): void;
}

export type Place = 'pod' | 'outside' | 'guest';

export interface Listener {
  readonly fd: number;
  readonly family: Family;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly place: Place;
}

/** The one port that is open outside of the pod; TPROXY brings everything there. */
const CATCH_PORT = 9;

/** Keeps conntrack at work, so that connections from before a policy are known to it. Nothing of ours touches it. */
const WITNESS = `table inet witness {
 chain input {
  type filter hook input priority 300
  ct state established
 }
}
`;

/** Without conntrack, so that nothing is ever rewritten there. */
const CATCH = `table inet catch {
 chain prerouting {
  type filter hook prerouting priority -150
  iifname lo accept
  meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to :${CATCH_PORT} accept
  meta nfproto ipv6 meta l4proto { tcp, udp } tproxy ip6 to :${CATCH_PORT} accept
 }
}
`;

/** warmThreadPool() must have ended. */
export function createWorld(): World {
  const lab = createLab();
  const guest = createBareNetns();
  wire({ pod: lab.pod.name, outside: lab.outside.name, guest: guest.name });
  const open: Readonly<Record<Place, Netns>> = {
    pod: openNetns(lab.pod.path),
    outside: openNetns(lab.outside.path),
    guest: openNetns(guest.path),
  };
  const inside = <T>(place: Place, work: () => T): T => enterNetns(open[place], work);
  for (const place of ['pod', 'outside', 'guest'] as const) inside(place, awaitAddresses);
  inside('pod', () => load(WITNESS));
  const catchers = (['outside', 'guest'] as const).flatMap((place) => inside(place, () => catchAll(place)));
  return {
    name: lab.pod.name,
    inside,
    catchers,
    reset: () =>
      inside('pod', () => {
        load(`flush ruleset\n${WITNESS}`);
        forgetConnections();
      }),
    close: () => {
      for (const { fd } of catchers) libc().close(fd);
      for (const netns of Object.values(open)) netns.close();
      lab.close();
      guest.close();
    },
  };
}

/** linux/netfilter/nfnetlink_conntrack.h: IPCTNL_MSG_CT_DELETE without a tuple is for all; NLM_F_ACK has the kernel say so. */
const CT_DELETE = 0x102;

/** Else a UDP packet with addresses and ports as one of an earlier policy would go where that one went. */
function forgetConnections(): void {
  withNetlink(NETLINK_NETFILTER, (socket) =>
    socket.ask(message(CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, Buffer.from([0, 0, 0, 0]))),
  );
}

/** Everything that comes to a netns ends in these sockets. */
function catchAll(place: Place): readonly Listener[] {
  load(CATCH);
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    ([4, 6] as const).map((family) => {
      const endpoint = { address: ANY[family], port: CATCH_PORT };
      const fd = listenOn({ family, type: protocol === 'tcp' ? TCP : UDP, endpoint, transparent: true });
      return { fd, family, protocol, port: CATCH_PORT, place };
    }),
  );
}

/** Loads statements in the current netns. */
export function load(script: string): void {
  loadLibnftables().withContext((context) => context.run(script));
}

function wire(names: Readonly<Record<Place, string>>): void {
  const { net1, virt0, eth0 } = LINKS;
  ip(names.pod, [
    `link add net1 type veth peer name net1 netns ${names.outside}`,
    `link add virt0 type veth peer name eth0 netns ${names.guest}`,
    'link set net1 up',
    'link set virt0 up',
    `address add ${net1[4].pod}/26 dev net1`,
    `address add ${net1[6].pod}/64 dev net1 nodad`,
    `address add ${virt0[4].pod}/26 dev virt0`,
    `address add ${virt0[6].pod}/64 dev virt0 nodad`,
  ]);
  ip(names.outside, [
    'link set net1 up',
    `address add ${net1[4].peer}/26 dev net1`,
    `address add ${net1[6].peer}/64 dev net1 nodad`,
    // Every address is the outside's own, unless it is somebody else's.
    'route add local 0.0.0.0/0 dev lo table main',
    '-6 route add local ::/0 dev lo table main',
    `route add ${virt0[4].subnet} via ${eth0[4].pod}`,
  ]);
  ip(names.guest, [
    'link set eth0 up',
    `address add ${virt0[4].peer}/26 dev eth0`,
    `address add ${virt0[6].peer}/64 dev eth0 nodad`,
    `route add default via ${virt0[4].pod}`,
  ]);
  ip(names.guest, [`-6 route add default via ${virt0[6].pod} dev eth0`]);
  ip(names.outside, [`-6 route add ${virt0[6].subnet} via ${eth0[6].pod} dev eth0`]);
  // The guest speaks to the world through the pod.
  sysctl(names.pod, { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  // Sources on other interfaces than the route's are part of the test.
  for (const name of Object.values(names)) {
    sysctl(name, { 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.default.rp_filter': 0 });
  }
  sysctl(names.pod, { 'net.ipv4.conf.eth0.rp_filter': 0, 'net.ipv4.conf.net1.rp_filter': 0 });
}

function ip(netns: string, commands: readonly string[]): void {
  for (const command of commands) run('ip', ['-netns', netns, ...command.split(' ')]);
}

function sysctl(netns: string, values: Readonly<Record<string, number>>): void {
  const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  run('ip', ['netns', 'exec', netns, 'sysctl', '-qw', ...settings]);
}

function run(command: string, argv: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, argv, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}: ${stderr}`);
}
