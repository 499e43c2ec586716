import { errorOf, NLMSG_ERROR, type NetlinkMessage } from './netlink.ts';
import { NETLINK_NETFILTER, withNetlink } from './netlink-socket.ts';
import { copyOf } from './table-copy.ts';
import { dumpTable } from './table-dump.ts';
import { tableFingerprint } from './table-fingerprint.ts';

/** Transactions that make tables of family inet again as they stood in some netns, under a key of the caller's. */
export interface TableCopies {
  /** Keeps what stands under this name in the current netns, if it has this fingerprint. */
  keep(key: string, table: { readonly name: string; readonly fingerprint: string }): void;
  /** Makes it in the current netns, in full or not at all. False if none is kept, or the kernel refused it. */
  create(key: string): boolean;
}

/** netlink_sendmsg takes less than the socket's buffer (net.core.wmem_default, 212,992) at once; and this is kept for the process's life. */
const COPY_BYTES_MAX = 64 * 1024;
const COPIES_MAX = 32;

export function tableCopies(): TableCopies {
  const copies = new Map<string, Buffer>();
  return {
    keep: (key, { name, fingerprint }) => {
      const dump = dumpTable(name);
      // Afterwards, so that the dump is of the table that was read.
      if (dump === undefined || tableFingerprint(name) !== fingerprint) return;
      const copy = copyOf(dump);
      if (copy === undefined || copy.length > COPY_BYTES_MAX) return;
      const [oldest] = copies.keys();
      if (copies.size >= COPIES_MAX && oldest !== undefined) copies.delete(oldest);
      copies.set(key, copy);
    },
    create: (key) => {
      const copy = copies.get(key);
      return copy !== undefined && isTaken(copy);
    },
  };
}

/** The first message asks for an acknowledgement, which comes after the commit; each message that is refused says so by itself. */
function isTaken(transaction: Buffer): boolean {
  let replies: readonly NetlinkMessage[];
  try {
    replies = withNetlink(NETLINK_NETFILTER, (socket) => socket.transact(transaction));
  } catch {
    // ENOBUFS, ENOMEM: whatever came of it, who writes the rules as text sees it.
    return false;
  }
  return replies.length > 0 && replies.every((reply) => reply.type === NLMSG_ERROR && errorOf(reply) === 0);
}
