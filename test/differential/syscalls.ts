import koffi from 'koffi';
import { errnoName, uint32 } from '../../src/netns/libc.ts';

/** System calls that only this test needs. As in src/netns/libc.ts: a value ≥ 0, or −errno, and everything in the calling thread. */

const library = koffi.load(null);
const setfsuid: (id: number) => number = library.func('int setfsuid(uint32_t id)');
const setfsgid: (id: number) => number = library.func('int setfsgid(uint32_t id)');
const sendto: (fd: number, data: Buffer, length: number, flags: number, to: Buffer, toLength: number) => number =
  library.func('intptr_t sendto(int fd, void *data, size_t length, int flags, void *to, uint32_t to_length)');
const recvfrom: (fd: number, data: Buffer, length: number, flags: number, from: Buffer, fromLength: Buffer) => number =
  library.func('intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *from, void *from_length)');
const getpeername: (fd: number, address: Buffer, length: Buffer) => number = library.func(
  'int getpeername(int fd, void *address, void *length)',
);
const pollMany: (entries: Buffer, count: number, timeoutMs: number) => number = library.func(
  'int poll(void *entries, unsigned long count, int timeout_ms)',
);

const MSG_DONTWAIT = 0x40;
const POLLFD_BYTES = 8;

/**
 * Runs `work` as another owner of sockets and files. Rules match the fsuid and fsgid that the thread had when it made the socket
 * (`f_cred`); setfsuid(2) changes nothing else, so that CAP_NET_ADMIN stays.
 */
export function asOwner<T>(owner: { readonly uid: number; readonly gid: number }, work: () => T): T {
  setfsgid(owner.gid);
  setfsuid(owner.uid);
  try {
    return work();
  } finally {
    setfsuid(0);
    setfsgid(0);
  }
}

export function sendTo(fd: number, data: Buffer, to: Buffer): void {
  must(checked(sendto(fd, data, data.length, MSG_DONTWAIT, to, to.length)), 'sendto');
}

/** What waits, and who sent it; undefined if nothing does. */
export function receiveFrom(
  fd: number,
  options: { readonly bytesMax: number; readonly addressBytes: number },
): { readonly data: Buffer; readonly from: Buffer } | undefined {
  const data = Buffer.alloc(options.bytesMax);
  const from = Buffer.alloc(options.addressBytes);
  const result = checked(recvfrom(fd, data, data.length, MSG_DONTWAIT, from, uint32(from.length)));
  return result < 0 ? undefined : { data: data.subarray(0, result), from };
}

/** Fills `address`; 0 or −errno. */
export function getPeerName(fd: number, address: Buffer): number {
  return checked(getpeername(fd, address, uint32(address.length)));
}

/** Waits until something happens on one of the descriptors; the first such descriptor, or undefined on timeout. */
export function firstReady(
  watched: readonly { readonly fd: number; readonly events: number }[],
  timeoutMs: number,
): number | undefined {
  const entries = Buffer.alloc(POLLFD_BYTES * watched.length);
  for (const [index, { fd, events }] of watched.entries()) {
    entries.writeInt32LE(fd, POLLFD_BYTES * index);
    entries.writeInt16LE(events, POLLFD_BYTES * index + 4);
  }
  if (must(checked(pollMany(entries, watched.length, timeoutMs)), 'poll') === 0) return undefined;
  return watched.find((_, index) => entries.readInt16LE(POLLFD_BYTES * index + 6) !== 0)?.fd;
}

export function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

/** errno must be read before anything else runs in this thread. */
function checked(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}
