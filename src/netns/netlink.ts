/** Netlink messages as bytes. Pure; both supported architectures are little-endian. */

/** linux/netlink.h */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const [NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP] = [1, 4, 0x10, 0x300] as const;
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** struct nfgenmsg, with which every message of netfilter begins (linux/netfilter/nfnetlink.h). */
export const NFGENMSG_BYTES = 4;
/** The kernel's own limit for one message. */
export const REPLY_BYTES_MAX = 32 * 1024;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

export interface Attribute {
  /** Without the flag bits. */
  readonly type: number;
  readonly value: Buffer;
}

/** One request: header and body. */
export function message(type: number, flags: number, ...body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const whole = Buffer.concat([header, ...body]);
  whole.writeUInt32LE(whole.length, 0);
  whole.writeUInt16LE(type, 4);
  whole.writeUInt16LE(flags, 6);
  whole.writeUInt32LE(1, 8);
  return whole;
}

export function attribute(type: number, value: Buffer): Buffer {
  const length = ATTRIBUTE_HEADER_BYTES + value.length;
  const buffer = Buffer.alloc(aligned(length));
  buffer.writeUInt16LE(length, 0);
  buffer.writeUInt16LE(type, 2);
  value.copy(buffer, ATTRIBUTE_HEADER_BYTES);
  return buffer;
}

/** The messages in one datagram; a truncated tail is left out. */
export function messagesOf(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let rest = datagram;
  while (rest.length >= HEADER_BYTES) {
    const length = rest.readUInt32LE(0);
    if (length < HEADER_BYTES || length > rest.length) break;
    messages.push({
      type: rest.readUInt16LE(4),
      flags: rest.readUInt16LE(6),
      body: rest.subarray(HEADER_BYTES, length),
    });
    rest = rest.subarray(aligned(length));
  }
  return messages;
}

/** The attributes in a message's body, or nested in another one; a truncated tail is left out. */
export function attributesOf(bytes: Buffer): Attribute[] {
  const attributes: Attribute[] = [];
  let rest = bytes;
  while (rest.length >= ATTRIBUTE_HEADER_BYTES) {
    const length = rest.readUInt16LE(0);
    if (length < ATTRIBUTE_HEADER_BYTES || length > rest.length) break;
    attributes.push({ type: rest.readUInt16LE(2) & 0x3fff, value: rest.subarray(ATTRIBUTE_HEADER_BYTES, length) });
    rest = rest.subarray(aligned(length));
  }
  return attributes;
}

/** The value of the first attribute of a type. */
export function valueOf(bytes: Buffer, type: number): Buffer | undefined {
  return attributesOf(bytes).find((one) => one.type === type)?.value;
}

/** 0 for an acknowledgement, −errno for a refusal. */
export function errorOf({ body }: NetlinkMessage): number {
  return body.readInt32LE(0);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
