import {
  attribute,
  attributesOf,
  message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  type NetlinkMessage,
  valueOf,
} from './netlink.ts';
import { LOOPBACK_IFINDEX } from './rtnetlink.ts';
import { AF, type Family, readAddress, writeAddress } from './sockaddr.ts';

/** rtnetlink messages for addresses, routes and rules of our own. Pure. */

/**
 * Who made a route or a rule, as `ip route` and `ip rule` show it (`proto 163`). Values from 4 on mean nothing to the kernel; this one is
 * in nobody's list (iproute2's rt_protos, linux/rtnetlink.h). Addresses have a number space of their own (IFA_PROTO, kernel 5.18), in
 * which it is free, too.
 */
export const PROTOCOL = 163;

/** One thing that `Routing` asks for. */
export type RoutingPart =
  | { readonly kind: 'address'; readonly family: Family; readonly address: string; readonly prefix: number }
  /** `local default dev lo table TABLE` */
  | { readonly kind: 'route'; readonly family: Family; readonly table: number }
  | { readonly kind: 'rule'; readonly family: Family; readonly mark: number; readonly table: number };

/** What a dump shows, named so that it can be compared with the name of a part. */
export interface FoundPart {
  readonly kind: RoutingPart['kind'];
  readonly name: string;
  /** Does it carry our protocol number? An address of somebody else serves as well. */
  readonly ours: boolean;
  /** The request that removes exactly this one: the kernel's own words, sent back. */
  readonly removal: Buffer;
}

/** linux/rtnetlink.h: RTM_NEW…, and from there RTM_DEL… and RTM_GET…. */
const TYPES = { address: 20, route: 24, rule: 32 } as const;
const [DELETE, GET] = [1, 2] as const;
const AF_UNSPEC = 0;
const NLM_F_CREATE_EXCLUSIVE = 0x600;
/** linux/if_addr.h, linux/rtnetlink.h, linux/fib_rules.h */
const [IFA_ADDRESS, IFA_LOCAL, IFA_PROTO] = [1, 2, 11] as const;
const [RTA_DST, RTA_OIF, RTA_TABLE, RTA_MARK] = [1, 4, 15, 16] as const;
const [FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL] = [10, 15, 16, 21] as const;
const [RTN_LOCAL, RT_SCOPE_HOST, FR_ACT_TO_TBL] = [2, 254, 1] as const;
/** struct ifaddrmsg; struct rtmsg and struct fib_rule_hdr. */
const HEADER_BYTES = { address: 8, route: 12, rule: 12 } as const;
const FULL_MASK = 0xffffffff;

/** The words of `ip` for it. */
export function nameOf(part: RoutingPart): string {
  if (part.kind === 'address') return `${part.address}/${part.prefix} dev lo`;
  if (part.kind === 'route') return routeName({ ...part, type: RTN_LOCAL, prefix: 0, device: LOOPBACK_IFINDEX });
  return ruleName({ ...part, action: FR_ACT_TO_TBL, mask: FULL_MASK });
}

/** The request that makes it, and fails with EEXIST if there is one. */
export function creation(part: RoutingPart): Buffer {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE_EXCLUSIVE;
  return message(TYPES[part.kind], flags, ...BODIES[part.kind](part));
}

/** The request for all of a kind: addresses of IPv6, which alone may be ours; routes and rules of every family in one go. */
export function dumpOf(kind: RoutingPart['kind']): Buffer {
  const header = Buffer.alloc(HEADER_BYTES[kind]);
  header.writeUInt8(kind === 'address' ? AF[6] : AF_UNSPEC, 0);
  return message(TYPES[kind] + GET, NLM_F_REQUEST | NLM_F_DUMP, header);
}

/** The request for the route of a packet to this address with this mark. */
export function routeOf(packet: { readonly family: Family; readonly address: string; readonly mark: number }): Buffer {
  const header = Buffer.alloc(HEADER_BYTES.route);
  const address = writeAddress(packet.family, packet.address);
  header.writeUInt8(AF[packet.family], 0);
  header.writeUInt8(8 * address.length, 1);
  return message(
    TYPES.route + GET,
    NLM_F_REQUEST,
    header,
    attribute(RTA_DST, address),
    attribute(RTA_MARK, word(packet.mark)),
  );
}

/** Does the answer to `routeOf` lead to the netns itself? */
export function isLocalRoute({ type, body }: NetlinkMessage): boolean {
  return type === TYPES.route && body.length >= HEADER_BYTES.route && body.readUInt8(7) === RTN_LOCAL;
}

/**
 * One message of a dump; undefined for its end, and for what concerns no part: addresses of other interfaces, routes and rules of somebody else.
 */
export function foundIn({ type, body }: NetlinkMessage): FoundPart | undefined {
  for (const kind of ['address', 'route', 'rule'] as const) {
    if (type !== TYPES[kind] || body.length < HEADER_BYTES[kind]) continue;
    if (body.readUInt8(0) !== AF[4] && body.readUInt8(0) !== AF[6]) return undefined;
    const described = DESCRIPTIONS[kind](body);
    if (described === undefined) return undefined;
    return { kind, ...described, removal: message(TYPES[kind] + DELETE, NLM_F_REQUEST | NLM_F_ACK, body) };
  }
  return undefined;
}

const BODIES = { address: addressBody, route: routeBody, rule: ruleBody } as const;
const DESCRIPTIONS = { address: describeAddress, route: describeRoute, rule: describeRule } as const;

function addressBody(part: RoutingPart): Buffer[] {
  if (part.kind !== 'address') return [];
  const header = Buffer.alloc(HEADER_BYTES.address);
  header.writeUInt8(AF[part.family], 0);
  header.writeUInt8(part.prefix, 1);
  header.writeUInt8(RT_SCOPE_HOST, 3);
  header.writeUInt32LE(LOOPBACK_IFINDEX, 4);
  const address = writeAddress(part.family, part.address);
  return [header, attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address), attribute(IFA_PROTO, byte(PROTOCOL))];
}

function routeBody(part: RoutingPart): Buffer[] {
  if (part.kind !== 'route') return [];
  const header = Buffer.alloc(HEADER_BYTES.route);
  header.writeUInt8(AF[part.family], 0);
  header.writeUInt8(PROTOCOL, 5);
  header.writeUInt8(RT_SCOPE_HOST, 6);
  header.writeUInt8(RTN_LOCAL, 7);
  return [header, attribute(RTA_TABLE, word(part.table)), attribute(RTA_OIF, word(LOOPBACK_IFINDEX))];
}

function ruleBody(part: RoutingPart): Buffer[] {
  if (part.kind !== 'rule') return [];
  const header = Buffer.alloc(HEADER_BYTES.rule);
  header.writeUInt8(AF[part.family], 0);
  header.writeUInt8(FR_ACT_TO_TBL, 7);
  return [
    header,
    attribute(FRA_FWMARK, word(part.mark)),
    attribute(FRA_FWMASK, word(FULL_MASK)),
    attribute(FRA_TABLE, word(part.table)),
    attribute(FRA_PROTOCOL, byte(PROTOCOL)),
  ];
}

type Described = Pick<FoundPart, 'name' | 'ours'> | undefined;
type Values = ReadonlyMap<number, Buffer>;

function describeAddress(body: Buffer): Described {
  if (body.readUInt32LE(4) !== LOOPBACK_IFINDEX) return undefined;
  const values = attributes(body, HEADER_BYTES.address);
  const family = familyOf(body);
  const address = readAddress(family, values.get(IFA_LOCAL) ?? values.get(IFA_ADDRESS) ?? Buffer.alloc(16));
  const name = nameOf({ kind: 'address', family, address, prefix: body.readUInt8(1) });
  return { name, ours: values.get(IFA_PROTO)?.at(0) === PROTOCOL };
}

function describeRoute(body: Buffer): Described {
  // Most routes are somebody else's: a look at one byte is enough.
  if (body.readUInt8(5) !== PROTOCOL) return undefined;
  const values = attributes(body, HEADER_BYTES.route);
  const name = routeName({
    family: familyOf(body),
    type: body.readUInt8(7),
    prefix: values.has(RTA_DST) ? body.readUInt8(1) : 0,
    device: values.get(RTA_OIF)?.readUInt32LE() ?? 0,
    table: values.get(RTA_TABLE)?.readUInt32LE() ?? body.readUInt8(4),
  });
  return { name, ours: true };
}

function describeRule(body: Buffer): Described {
  if (valueOf(body.subarray(HEADER_BYTES.rule), FRA_PROTOCOL)?.at(0) !== PROTOCOL) return undefined;
  const values = attributes(body, HEADER_BYTES.rule);
  const name = ruleName({
    family: familyOf(body),
    action: body.readUInt8(7),
    mark: values.get(FRA_FWMARK)?.readUInt32LE() ?? 0,
    mask: values.get(FRA_FWMASK)?.readUInt32LE() ?? FULL_MASK,
    table: values.get(FRA_TABLE)?.readUInt32LE() ?? body.readUInt8(4),
  });
  return { name, ours: true };
}

function routeName(route: {
  readonly family: Family;
  readonly type: number;
  readonly prefix: number;
  readonly device: number;
  readonly table: number;
}): string {
  const type = route.type === RTN_LOCAL ? 'local' : `type ${route.type}`;
  const destination = route.prefix === 0 ? 'default' : `.../${route.prefix}`;
  const device = route.device === LOOPBACK_IFINDEX ? 'lo' : `interface ${route.device}`;
  return `IPv${route.family} route ${type} ${destination} dev ${device} table ${route.table}`;
}

function ruleName(rule: {
  readonly family: Family;
  readonly action: number;
  readonly mark: number;
  readonly mask: number;
  readonly table: number;
}): string {
  const mask = rule.mask === FULL_MASK ? '' : `/0x${rule.mask.toString(16)}`;
  const action = rule.action === FR_ACT_TO_TBL ? `lookup ${rule.table}` : `action ${rule.action}`;
  return `IPv${rule.family} rule fwmark 0x${rule.mark.toString(16)}${mask} ${action}`;
}

function attributes(body: Buffer, headerBytes: number): Values {
  return new Map(attributesOf(body.subarray(headerBytes)).map(({ type, value }) => [type, value]));
}

function familyOf(body: Buffer): Family {
  return body.readUInt8(0) === AF[6] ? 6 : 4;
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function byte(value: number): Buffer {
  return Buffer.from([value]);
}
