/** The two rtnetlink messages the mark needs, as bytes. Pure; both supported architectures are little-endian. */

/** linux/netlink.h, linux/rtnetlink.h, linux/if_link.h */
export const NLMSG_ERROR = 2;
export const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const [NLM_F_REQUEST, NLM_F_ACK] = [1, 4] as const;
const [NLMSG_HEADER_BYTES, IFINFOMSG_BYTES, ATTRIBUTE_HEADER_BYTES] = [16, 16, 4] as const;
const IFLA_IFALIAS = 20;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 1 << 3;
/** The kernel makes `lo` first in every netns (LOOPBACK_IFINDEX). */
const LOOPBACK_IFINDEX = 1;

export interface NetlinkMessage {
  readonly type: number;
  readonly body: Buffer;
}

/** RTM_SETLINK that gives `lo` an alias; an empty text removes it. */
export function setAlias(text: string): Buffer {
  return request(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, attribute(IFLA_IFALIAS, Buffer.from(text)));
}

/** RTM_GETLINK for `lo`, without statistics. */
export function getLink(): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(RTEXT_FILTER_SKIP_STATS);
  return request(RTM_GETLINK, NLM_F_REQUEST, attribute(IFLA_EXT_MASK, mask));
}

/** The messages in one datagram; a truncated tail is left out. */
export function messagesOf(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let rest = datagram;
  while (rest.length >= NLMSG_HEADER_BYTES) {
    const length = rest.readUInt32LE(0);
    if (length < NLMSG_HEADER_BYTES || length > rest.length) break;
    messages.push({ type: rest.readUInt16LE(4), body: rest.subarray(NLMSG_HEADER_BYTES, length) });
    rest = rest.subarray(aligned(length));
  }
  return messages;
}

/** 0 for an acknowledgement, −errno for a refusal. */
export function errorOf(message: NetlinkMessage): number {
  return message.body.readInt32LE(0);
}

/** The alias in an RTM_NEWLINK; empty if there is none. */
export function aliasOf(message: NetlinkMessage): string {
  let rest = message.body.subarray(IFINFOMSG_BYTES);
  while (rest.length >= ATTRIBUTE_HEADER_BYTES) {
    const length = rest.readUInt16LE(0);
    if (length < ATTRIBUTE_HEADER_BYTES || length > rest.length) break;
    if (rest.readUInt16LE(2) === IFLA_IFALIAS)
      return rest.toString('utf8', ATTRIBUTE_HEADER_BYTES, length).replace(/\0$/, '');
    rest = rest.subarray(aligned(length));
  }
  return '';
}

function request(type: number, flags: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(NLMSG_HEADER_BYTES + IFINFOMSG_BYTES + payload.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(1, 8);
  message.writeInt32LE(LOOPBACK_IFINDEX, NLMSG_HEADER_BYTES + 4);
  payload.copy(message, NLMSG_HEADER_BYTES + IFINFOMSG_BYTES);
  return message;
}

function attribute(type: number, value: Buffer): Buffer {
  const length = ATTRIBUTE_HEADER_BYTES + value.length;
  const buffer = Buffer.alloc(aligned(length));
  buffer.writeUInt16LE(length, 0);
  buffer.writeUInt16LE(type, 2);
  value.copy(buffer, ATTRIBUTE_HEADER_BYTES);
  return buffer;
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
