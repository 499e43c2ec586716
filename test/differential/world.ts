import { loadLibnftables } from '../../src/backend/nft/libnftables.ts';
import { libc } from '../../src/netns/libc.ts';
import { message, NLM_F_ACK, NLM_F_REQUEST } from '../../src/netns/netlink.ts';
import { NETLINK_NETFILTER, withNetlink } from '../../src/netns/netlink-socket.ts';
import { enterNetns, type Netns, openNetns } from '../../src/netns/netns.ts';
import { createBareNetns, createLab } from '../support/netns-lab.ts';
import { awaitAddresses } from './await-addresses.ts';
import type { Family } from './places.ts';
import { ANY, listenOn, TCP, UDP } from './sockets.ts';
import { wire } from './wiring.ts';

/** A pod with a second network and a guest, and around it everything its packets can reach. */
export interface World {
  /** Name of the pod's netns below /run/netns. */
  readonly name: string;
  /** Runs work inside one of the netns; synchronous. */
  inside<T>(place: Place, work: () => T): T;
  /** Sockets that take whatever arrives outside of the pod, for any address and port. */
  readonly catchers: readonly Listener[];
  /** How long nothing must be seen of a packet for it to count as dropped. */
  readonly silenceMs: number;
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

/** What arrives does so within the system call that sends it, for veth and lo hand packets over directly. Only silence costs this. */
const SILENCE_MS = 40;

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
    silenceMs: SILENCE_MS,
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
