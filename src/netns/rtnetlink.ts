import { attribute, message, NLM_F_ACK, NLM_F_REQUEST, type NetlinkMessage, valueOf } from './netlink.ts';

/** The two rtnetlink messages the mark needs. Pure. */

/** linux/rtnetlink.h, linux/if_link.h */
export const RTM_NEWLINK = 16;
const [RTM_GETLINK, RTM_SETLINK] = [18, 19] as const;
const [IFLA_IFALIAS, IFLA_EXT_MASK] = [20, 29] as const;
const IFINFOMSG_BYTES = 16;
const RTEXT_FILTER_SKIP_STATS = 1 << 3;
/** The kernel makes `lo` first in every netns (LOOPBACK_IFINDEX). */
export const LOOPBACK_IFINDEX = 1;

/** RTM_SETLINK that gives `lo` an alias; an empty text removes it. */
export function setAlias(text: string): Buffer {
  return message(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, loopback(), attribute(IFLA_IFALIAS, Buffer.from(text)));
}

/** RTM_GETLINK for `lo`, without statistics. */
export function getLink(): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(RTEXT_FILTER_SKIP_STATS);
  return message(RTM_GETLINK, NLM_F_REQUEST, loopback(), attribute(IFLA_EXT_MASK, mask));
}

/** The alias in an RTM_NEWLINK; empty if there is none. */
export function aliasOf({ body }: Pick<NetlinkMessage, 'body'>): string {
  const alias = valueOf(body.subarray(IFINFOMSG_BYTES), IFLA_IFALIAS);
  return alias === undefined ? '' : alias.toString('utf8').replace(/\0$/, '');
}

/** struct ifinfomsg */
function loopback(): Buffer {
  const body = Buffer.alloc(IFINFOMSG_BYTES);
  body.writeInt32LE(LOOPBACK_IFINDEX, 4);
  return body;
}
