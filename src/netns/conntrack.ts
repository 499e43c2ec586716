import { errnoName } from './libc.ts';
import { attribute, errorOf, message, NFGENMSG_BYTES, NLM_F_REQUEST, NLMSG_ERROR, valueOf } from './netlink.ts';
import { NETLINK_NETFILTER, withNetlink } from './netlink-socket.ts';
import { AF, type Endpoint, type Family, readAddress, writeAddress } from './sockaddr.ts';

/** Conntrack's entries, over ctnetlink. */

/** linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h */
const CT_GET = 0x101;
const NESTED = 0x8000;
const [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_ZONE] = [1, 2, 3, 18] as const;
const [CTA_TUPLE_IP, CTA_TUPLE_PROTO] = [1, 2] as const;
const CTA_IP = { 4: { source: 1, destination: 2 }, 6: { source: 3, destination: 4 } } as const;
const [CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT] = [1, 2, 3] as const;
const IPPROTO = { tcp: 6, udp: 17 } as const;

/** linux/netfilter/nf_conntrack_common.h */
const IPS_SEEN_REPLY = 2;

export interface Flow {
  readonly family: Family;
  readonly protocol: keyof typeof IPPROTO;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  /** 0: none. */
  readonly zone: number;
}

export interface FlowEnd extends Endpoint {
  /** Something came back. */
  readonly answered: boolean;
}

/**
 * Where a flow of the current netns really goes, as NAT has it: who is expected to answer. Undefined if there is no such flow: nothing of
 * it got through. `unknown` if the kernel has no ctnetlink.
 */
export function endOf(flow: Flow): FlowEnd | undefined | 'unknown' {
  const [reply] = withNetlink(NETLINK_NETFILTER, (socket) => socket.ask(requestFor(flow)));
  if (reply === undefined) return 'unknown';
  // Without the module the subsystem is not there: EINVAL.
  if (reply.type === NLMSG_ERROR) return errnoName(errorOf(reply)) === 'ENOENT' ? undefined : 'unknown';
  const entry = reply.body.subarray(NFGENMSG_BYTES);
  const tuple = nested(entry, CTA_TUPLE_REPLY);
  const address = valueOf(nested(tuple, CTA_TUPLE_IP), CTA_IP[flow.family].source);
  const port = valueOf(nested(tuple, CTA_TUPLE_PROTO), CTA_PROTO_SRC_PORT);
  if (address === undefined || port === undefined) return 'unknown';
  const status = valueOf(entry, CTA_STATUS)?.readUInt32BE() ?? 0;
  return {
    address: readAddress(flow.family, address),
    port: port.readUInt16BE(),
    answered: (status & IPS_SEEN_REPLY) !== 0,
  };
}

function requestFor({ family, protocol, source, destination, zone }: Flow): Buffer {
  const addresses = [
    attribute(CTA_IP[family].source, writeAddress(family, source.address)),
    attribute(CTA_IP[family].destination, writeAddress(family, destination.address)),
  ];
  const ports = [
    attribute(CTA_PROTO_NUM, Buffer.from([IPPROTO[protocol]])),
    attribute(CTA_PROTO_SRC_PORT, bigEndian(source.port)),
    attribute(CTA_PROTO_DST_PORT, bigEndian(destination.port)),
  ];
  const tuple = Buffer.concat([
    attribute(CTA_TUPLE_IP | NESTED, Buffer.concat(addresses)),
    attribute(CTA_TUPLE_PROTO | NESTED, Buffer.concat(ports)),
  ]);
  return message(
    CT_GET,
    NLM_F_REQUEST,
    Buffer.from([AF[family], 0, 0, 0]),
    attribute(CTA_TUPLE_ORIG | NESTED, tuple),
    ...(zone === 0 ? [] : [attribute(CTA_ZONE, bigEndian(zone))]),
  );
}

function nested(attributes: Buffer, type: number): Buffer {
  return valueOf(attributes, type) ?? Buffer.alloc(0);
}

function bigEndian(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}
