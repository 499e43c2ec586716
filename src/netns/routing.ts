import { ControllerError, messageOf } from '../errors.ts';
import { NO_ROUTING, type Routing } from '../ruleset/ruleset.ts';
import { errnoName } from './libc.ts';
import { errorOf, NLMSG_ERROR } from './netlink.ts';
import { NETLINK_ROUTE, type NetlinkSocket, withNetlink } from './netlink-socket.ts';
import { creation, dumpOf, type FoundPart, foundIn, nameOf, type RoutingPart } from './routing-messages.ts';
import type { Family } from './sockaddr.ts';

/**
 * Addresses of `lo`, routes and rules that a policy needs besides its table, in the netns the calling thread is in. Ours are known by
 * their protocol number, so nobody else's are ever removed, and ours are found when their policy is forgotten. One exception: kernels
 * before 5.18 do not keep who made an address; there `::6` stays when its policy goes. It is local to the pod and answers nobody.
 */

/** One difference, in the words of `ip`. */
export interface RoutingDrift {
  readonly where: string;
  readonly expected: string;
  readonly found: string;
}

/** What was there before `addRouting`, as far as it was ours and is not needed any more. */
export interface AddedRouting {
  readonly changed: boolean;
  /** Removes it, in the same netns; false if there was nothing. */
  readonly trim: () => boolean;
}

/** Brings what the policy needs, and removes what another policy needed. Nothing that is right is touched. Before the rules are written. */
export function bringRouting(routing: Routing): { readonly changed: boolean } {
  const { changed, trim } = addRouting(routing);
  return { changed: trim() || changed };
}

/**
 * Brings what the policy needs and leaves what another policy needed. Where rules of that other policy still stand, this comes before
 * the new rules and `trim` after them, so that no packet is marked for a table that is not there.
 */
export function addRouting(routing: Routing, { fresh = false }: { readonly fresh?: boolean } = {}): AddedRouting {
  return withRoutes((socket) => {
    const { missing, surplus } = compare(routing, fresh ? readFresh(socket, routing) : readAll(socket));
    const made = missing.filter((part) => make(socket, part));
    return { changed: made.length > 0, trim: () => removeAll(surplus) };
  });
}

/** How what stands there differs from what the policy needs. Writes nothing. */
export function inspectRouting(routing: Routing): readonly RoutingDrift[] {
  return withRoutes((socket) => {
    const found = readAll(socket);
    const { missing, surplus } = compare(routing, found);
    const takesIpv6 = found.some(({ name }) => name === IPV6_LOOPBACK);
    return [
      ...missing
        .filter((part) => part.family === 4 || part.kind === 'rule' || takesIpv6)
        .map((part) => ({ where: part.kind, expected: nameOf(part), found: ABSENT })),
      ...surplus.map(({ kind, name }) => ({ where: kind, expected: ABSENT, found: name })),
    ];
  });
}

/** Removes what is ours, whatever policy it was for; true if there was something. After the rules are gone. */
export function cleanRouting(): boolean {
  return addRouting(NO_ROUTING).trim();
}

function removeAll(parts: readonly FoundPart[]): boolean {
  if (parts.length > 0) withRoutes((socket) => parts.forEach((part) => remove(socket, part)));
  return parts.length > 0;
}

const ABSENT = 'absent';
/** `lo` has it as long as IPv6 is not switched off there. */
const IPV6_LOOPBACK = '::1/128 dev lo';
const KINDS = ['address', 'route', 'rule'] as const;
const DUMPS_MAX = 5;

/** In the order in which they are made: a rule that leads to an empty table lets packets go where they should not. */
function partsOf({ loopbackAddresses, markedToLocal }: Routing): readonly RoutingPart[] {
  const addresses = loopbackAddresses.map((one): RoutingPart => ({ kind: 'address', ...one }));
  if (markedToLocal === undefined) return addresses;
  const { mark, routeTable: table, families } = markedToLocal;
  return [
    ...addresses,
    ...families.map((family): RoutingPart => ({ kind: 'route', family, table })),
    ...families.map((family): RoutingPart => ({ kind: 'rule', family, mark, table })),
  ];
}

interface Difference {
  readonly missing: readonly RoutingPart[];
  /** Ours, but not wanted, or there twice; rules first. */
  readonly surplus: readonly FoundPart[];
}

function compare(routing: Routing, found: readonly FoundPart[]): Difference {
  const wanted = partsOf(routing);
  const names = new Set(wanted.map(nameOf));
  const surplus = found.filter(({ name, ours }, index) => {
    return ours && (!names.has(name) || found.findIndex((one) => one.name === name) !== index);
  });
  return {
    // An address is there or not, whosever it is. Routes and rules of somebody else may go any moment: ours stand beside them.
    missing: wanted.filter((part) => !found.some(({ name }) => name === nameOf(part))),
    surplus: surplus.toReversed(),
  };
}

function readAll(socket: NetlinkSocket): readonly FoundPart[] {
  return KINDS.flatMap((kind) => dump(socket, kind));
}

/**
 * Of a netns without a mark, where nearly always nothing is ours: all of it only if the policy needs routes, or a rule of ours stands there
 * and leads somewhere. What else a capture that was cut short may leave behind leads no packet anywhere, and the next look finds it.
 */
function readFresh(socket: NetlinkSocket, { markedToLocal }: Routing): readonly FoundPart[] {
  const isBare = markedToLocal === undefined && !dump(socket, 'rule').some(({ ours }) => ours);
  return isBare ? [] : readAll(socket);
}

function dump(socket: NetlinkSocket, kind: RoutingPart['kind']): FoundPart[] {
  for (let attempt = 0; attempt < DUMPS_MAX; attempt += 1) {
    const messages = socket.dump(dumpOf(kind));
    if (messages === undefined) continue;
    const refusal = messages.find(({ type }) => type === NLMSG_ERROR);
    const errno = refusal === undefined ? undefined : errnoName(errorOf(refusal));
    if (errno !== undefined && !(kind === 'address' && lacksFamily(errno, 6)))
      throw failure(`list ${kind} entries`, errno);
    return messages.flatMap((one) => foundIn(one) ?? []);
  }
  throw failure(`list ${kind} entries`, 'they change all the time');
}

/** False if it was there already, or the netns has no IPv6 and so needs none. */
function make(socket: NetlinkSocket, part: RoutingPart): boolean {
  const errno = ask(socket, creation(part));
  if (errno === undefined) return true;
  if (errno === 'EEXIST' || lacksFamily(errno, part.family)) return false;
  throw failure(`add ${nameOf(part)}`, errno);
}

function remove(socket: NetlinkSocket, { name, removal }: FoundPart): void {
  const errno = ask(socket, removal);
  if (errno !== undefined && !GONE.has(errno)) throw failure(`remove ${name}`, errno);
}

/** Gone between the look and the removal: for rules, routes and addresses. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH', 'EADDRNOTAVAIL']);

/** IPv6 is switched off on `lo` (EACCES), in the kernel (EAFNOSUPPORT, EOPNOTSUPP), or for all devices (ENODEV). */
function lacksFamily(errno: string, family: Family): boolean {
  return family === 6 && ['EACCES', 'EAFNOSUPPORT', 'EOPNOTSUPP', 'ENODEV'].includes(errno);
}

/** The name of the kernel's refusal, if it refused. */
function ask(socket: NetlinkSocket, request: Buffer): string | undefined {
  const [reply] = socket.ask(request);
  const error = reply?.type === NLMSG_ERROR ? errorOf(reply) : 0;
  return error === 0 ? undefined : errnoName(error);
}

function withRoutes<T>(work: (socket: NetlinkSocket) => T): T {
  try {
    return withNetlink(NETLINK_ROUTE, work);
  } catch (error: unknown) {
    if (error instanceof ControllerError) throw error;
    throw failure('talk to rtnetlink', messageOf(error));
  }
}

function failure(what: string, errno: string): ControllerError {
  if (errno === 'EPERM') {
    return new ControllerError('NotPermitted', `cannot ${what} in the netns: EPERM`, {
      hint: 'The process needs CAP_NET_ADMIN over the network namespace.',
    });
  }
  if (errno === 'ENETDOWN') {
    return new ControllerError('RoutingFailed', `lo is not up in the netns: cannot ${what}`, {
      hint: 'The container runtime (or its loopback CNI plugin) brings lo up when it makes the sandbox.',
    });
  }
  return new ControllerError('RoutingFailed', `cannot ${what} in the netns: ${errno}`);
}
