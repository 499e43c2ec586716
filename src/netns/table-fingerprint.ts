import { createHash, hash, type Hash } from 'node:crypto';
import { attribute, NFGENMSG_BYTES, NLM_F_DUMP, NLMSG_ERROR, valuePlace } from './netlink.ts';
import { NETLINK_NETFILTER, withNetlink } from './netlink-socket.ts';
import { elementsOf, GET, NAME_OF_TABLE, request } from './table-dump.ts';

/**
 * A digest over everything the kernel holds of a table of family inet in the current netns: comment, chains, rules with their
 * expressions, handles and counters, sets, elements. Two tables with the same fingerprint are the same to the last byte; the same table
 * gets another one as soon as a packet is counted. Undefined if it cannot be told. A fraction of the price of a listing.
 */
export function tableFingerprint(table: string): string | undefined {
  return withNetlink(NETLINK_NETFILTER, (socket) => {
    const digest = startDigest();
    const name = Buffer.from(`${table}\0`);
    const byName = attribute(NAME_OF_TABLE, name);
    const [own] = socket.ask(request(GET.table, 0, byName));
    if (own === undefined || own.type === NLMSG_ERROR) return undefined;
    digest.add(own.body, NFGENMSG_BYTES, own.body.length);
    for (const kind of ['chain', 'rule', 'set'] as const) {
      const sets: Buffer[] = [];
      const isWhole = socket.scan(request(GET[kind], NLM_F_DUMP, byName), (received, bodyStart, end) => {
        // Without the header, whose generation number changes with every transaction.
        const start = bodyStart + NFGENMSG_BYTES;
        // Older kernels dump the objects of every table.
        const place = valuePlace(received, NAME_OF_TABLE, { start, end });
        if (place === undefined || received.compare(name, 0, name.length, place.start, place.end) !== 0) return;
        digest.add(received, start, end);
        if (kind === 'set') sets.push(Buffer.from(received.subarray(start, end)));
      });
      if (!isWhole) return undefined;
      for (const set of sets) {
        const elements = elementsOf(socket, byName, set);
        if (elements === undefined) return undefined;
        for (const element of elements) digest.add(element, 0, element.length);
      }
    }
    return digest.end();
  });
}

/** Parts are gathered here first: a call of the hash for each of them would cost more than the kernel's answer. */
const gathered = Buffer.allocUnsafeSlow(32 * 1024);
const LENGTH_BYTES = 4;

interface Digest {
  add(source: Buffer, start: number, end: number): void;
  end(): string;
}

function startDigest(): Digest {
  let long: Hash | undefined;
  let used = 0;
  const flush = (): void => {
    long ??= createHash('sha256');
    long.update(gathered.subarray(0, used));
    used = 0;
  };
  return {
    add: (source, start, end) => {
      // No message is longer than what a netlink socket receives at once, which is a little less than there is room here.
      if (used + LENGTH_BYTES + end - start > gathered.length) flush();
      // Each with its length, so that no two lists of parts run together.
      gathered.writeUInt32LE(end - start, used);
      used += LENGTH_BYTES + source.copy(gathered, used + LENGTH_BYTES, start, end);
    },
    end: () => {
      // Nearly every table fits: a Hash object costs as much as the hashing.
      if (long === undefined) return hash('sha256', gathered.subarray(0, used), 'base64');
      flush();
      return long.digest('base64');
    },
  };
}
