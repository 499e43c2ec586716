import { readFileSync } from 'node:fs';
import { ControllerError, errnoOf } from '../errors.ts';
import { errnoName } from './libc.ts';
import {
  attribute,
  errorOf,
  message,
  NFGENMSG_BYTES,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  valueOf,
} from './netlink.ts';
import { NETLINK_NETFILTER, type NetlinkSocket, withNetlink } from './netlink-socket.ts';

/** Whose rules stand in a netns, seen without a tool and without writing: asking legacy iptables itself would register its tables. */
export interface RuleTraces {
  /** Is there a table of family inet with this name? */
  nftTable(name: string): boolean;
  /** Is there a chain in nf_tables, of any family and table, whose name starts so? */
  nftChains(prefix: string): boolean;
  /** Tables that legacy iptables holds here, of both families; undefined where the kernel has no legacy iptables. */
  legacyTables(): readonly string[] | undefined;
  /** Does the kernel have IPv6 at all? */
  ipv6(): boolean;
}

/** linux/netfilter/nfnetlink.h, nf_tables.h: NFNL_SUBSYS_NFTABLES in the high byte. */
const [GET_TABLE, GET_CHAIN] = [0xa01, 0xa04] as const;
const [NFPROTO_UNSPEC, NFPROTO_INET] = [0, 1] as const;
const [NAME_OF_TABLE, NAME_OF_CHAIN] = [1, 3] as const;

/** Of the netns the calling thread is in. */
export const RULE_TRACES: RuleTraces = {
  nftTable: (name) => withNfTables((socket) => hasTable(socket, name)),
  nftChains: (prefix) => withNfTables((socket) => hasChain(socket, Buffer.from(prefix))),
  legacyTables: () => {
    const names = ['ip_tables_names', 'ip6_tables_names'].map((file) => read(`/proc/thread-self/net/${file}`));
    if (names.every((text) => text === undefined)) return undefined;
    return names.flatMap((text) => (text ?? '').split('\n')).filter((name) => name !== '');
  },
  ipv6: () => read('/proc/thread-self/net/if_inet6') !== undefined,
};

function hasTable(socket: NetlinkSocket, name: string): boolean {
  const request = [Buffer.from([NFPROTO_INET, 0, 0, 0]), attribute(NAME_OF_TABLE, Buffer.from(`${name}\0`))];
  const [reply] = socket.ask(message(GET_TABLE, NLM_F_REQUEST, ...request));
  return reply !== undefined && !refused(reply);
}

/** A dump that changed under our eyes is taken again; one that never holds still counts as holding something. */
function hasChain(socket: NetlinkSocket, prefix: Buffer): boolean {
  const request = message(GET_CHAIN, NLM_F_REQUEST | NLM_F_DUMP, Buffer.from([NFPROTO_UNSPEC, 0, 0, 0]));
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const messages = socket.dump(request);
    if (messages === undefined) continue;
    return messages.some((one) => {
      if (one.type === NLMSG_DONE || refused(one)) return false;
      const name = valueOf(one.body.subarray(NFGENMSG_BYTES), NAME_OF_CHAIN);
      return name?.subarray(0, prefix.length).equals(prefix) === true;
    });
  }
  return true;
}

/** The kernel may not hold such a thing (ENOENT), or not know nf_tables (EINVAL); what may not be seen is another matter. */
function refused(reply: NetlinkMessage): boolean {
  if (reply.type !== NLMSG_ERROR) return false;
  if (errnoName(errorOf(reply)) !== 'EPERM') return true;
  throw new ControllerError('NotPermitted', 'nftables: the rules of the network namespace cannot be read: EPERM', {
    hint: 'The process needs CAP_NET_ADMIN over the network namespace.',
  });
}

/** A kernel without nf_tables holds nothing there. */
function withNfTables(work: (socket: NetlinkSocket) => boolean): boolean {
  try {
    return withNetlink(NETLINK_NETFILTER, work);
  } catch (error: unknown) {
    if (error instanceof Error && error.message === 'EPROTONOSUPPORT') return false;
    throw error;
  }
}

/** Undefined if there is no such file, or it is not ours to read: the netns of another user namespace, where legacy rules of ours cannot be. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error: unknown) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

const ATTEMPTS_MAX = 5;
