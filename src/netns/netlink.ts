/** Netlink messages as bytes. Pure; both supported architectures are little-endian. */

/** linux/netlink.h */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const [NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP] = [1, 4, 0x10, 0x300] as const;
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** Without the flags for nested and for big-endian values (NLA_TYPE_MASK). */
const TYPE_MASK = 0x3fff;
/** struct nfgenmsg, with which every message of netfilter begins (linux/netfilter/nfnetlink.h). */
export const NFGENMSG_BYTES = 4;
/** The kernel's own limit for one message. */
export const REPLY_BYTES_MAX = 32 * 1024;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** From the first byte to the one behind the last. */
export interface Place {
  readonly start: number;
  readonly end: number;
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
  return placesIn(datagram, datagram.length).map(({ type, flags, start, end }) => {
    return { type, flags, body: datagram.subarray(start, end) };
  });
}

/** Where the messages' bodies stand in the first `length` bytes. */
export function placesIn(datagram: Buffer, length: number): (Place & Omit<NetlinkMessage, 'body'>)[] {
  const places: (Place & Omit<NetlinkMessage, 'body'>)[] = [];
  for (let at = 0; at + HEADER_BYTES <= length; ) {
    const bytes = datagram.readUInt32LE(at);
    if (bytes < HEADER_BYTES || at + bytes > length) break;
    const [type, flags] = [datagram.readUInt16LE(at + 4), datagram.readUInt16LE(at + 6)];
    places.push({ type, flags, start: at + HEADER_BYTES, end: at + bytes });
    at += aligned(bytes);
  }
  return places;
}

/** The attributes in a message's body, or nested in another one; a truncated tail is left out. */
export function attributesOf(bytes: Buffer): Attribute[] {
  const attributes: Attribute[] = [];
  for (let start = 0; start + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(start);
    if (length < ATTRIBUTE_HEADER_BYTES || start + length > bytes.length) break;
    const type = bytes.readUInt16LE(start + 2) & TYPE_MASK;
    attributes.push({ type, value: bytes.subarray(start + ATTRIBUTE_HEADER_BYTES, start + length) });
    start += aligned(length);
  }
  return attributes;
}

/** The value of the first attribute of a type. */
export function valueOf(bytes: Buffer, type: number): Buffer | undefined {
  const place = valuePlace(bytes, type, { start: 0, end: bytes.length });
  return place === undefined ? undefined : bytes.subarray(place.start, place.end);
}

/** Where it stands, if attributes are all there is from `start` to `end`. */
export function valuePlace(bytes: Buffer, type: number, { start, end }: Place): Place | undefined {
  for (let at = start; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > end) return undefined;
    if ((bytes.readUInt16LE(at + 2) & TYPE_MASK) === type)
      return { start: at + ATTRIBUTE_HEADER_BYTES, end: at + length };
    at += aligned(length);
  }
  return undefined;
}

/** 0 for an acknowledgement, −errno for a refusal. */
export function errorOf({ body }: NetlinkMessage): number {
  return body.readInt32LE(0);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
