import type { Cidr } from '../../src/capture/policy.ts';
import { holdsAddress, parseCidr } from '../../src/capture/cidr.ts';
import { POD_V4, POD_V6, SERVICE } from '../support/netns-lab.ts';

/** Addresses and routes of the world the packets live in. Documentation addresses only. */

export type Family = 4 | 6;

/** How a packet leaves the pod, or comes into it. `net1`: a second network. `virt0`: a guest (a virtual machine, say) in the pod. */
export type Interface = 'eth0' | 'net1' | 'virt0';
export const INTERFACES: readonly Interface[] = ['eth0', 'net1', 'virt0'];

interface Link {
  /** The pod's own address. */
  readonly pod: string;
  /** What is at the other end. */
  readonly peer: string;
  readonly subnet: string;
}

export const LINKS: Readonly<Record<Interface, Readonly<Record<Family, Link>>>> = {
  eth0: {
    4: { pod: POD_V4, peer: '198.51.100.1', subnet: '198.51.100.0/24' },
    6: { pod: POD_V6, peer: '2001:db8:1::1', subnet: '2001:db8:1::/64' },
  },
  net1: {
    4: { pod: '203.0.113.130', peer: '203.0.113.129', subnet: '203.0.113.128/26' },
    6: { pod: '2001:db8:3::10', peer: '2001:db8:3::1', subnet: '2001:db8:3::/64' },
  },
  virt0: {
    4: { pod: '203.0.113.194', peer: '203.0.113.193', subnet: '203.0.113.192/26' },
    6: { pod: '2001:db8:4::10', peer: '2001:db8:4::1', subnet: '2001:db8:4::/64' },
  },
};

/** Somewhere beyond the outside's own addresses: a client, a service. */
export const CLIENT = { 4: '192.0.2.201', 6: '2001:db8:c::1' } as const;
export { SERVICE };

export const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
/** Where Envoy speaks to the application from. */
export const PASSTHROUGH = { 4: '127.0.0.6', 6: '::6' } as const;

/** Everywhere outside of the pod. */
const UNIVERSE: Readonly<Record<Family, readonly Cidr[]>> = {
  4: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'].map(range),
  6: [range('2001:db8::/32')],
};

/** The interface that the routes choose before any rule is met; undefined if nobody has the address, so that nothing could be seen. */
export function routeTo(family: Family, address: string): Interface | 'lo' | undefined {
  if (isOwn(family, address)) return 'lo';
  for (const name of INTERFACES) {
    const { peer, subnet } = LINKS[name][family];
    if (holdsAddress(range(subnet), address)) return address === peer ? name : undefined;
  }
  return UNIVERSE[family].some((one) => holdsAddress(one, address)) ? 'eth0' : undefined;
}

/** Does the pod itself have the address? */
export function isOwn(family: Family, address: string): boolean {
  if (INTERFACES.some((name) => LINKS[name][family].pod === address)) return true;
  if (family === 6) return address === LOOPBACK[6];
  // The kernel takes the first and last address of the network for broadcasts.
  return holdsAddress(range('127.0.0.0/8'), address) && address !== '127.0.0.0' && address !== '127.255.255.255';
}

export function range(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.allowed}`);
  return parsed.value;
}
