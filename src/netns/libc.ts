import { constants } from 'node:os';
import koffi from 'koffi';
import { ControllerError, messageOf } from '../errors.ts';

/**
 * The few system calls that Node does not offer. Everything here is synchronous and runs in the calling thread: setns changes the netns
 * of that thread only. Like the kernel itself, every function returns a value ≥ 0, or −errno.
 */
export interface Libc {
  readonly setns: (fd: number, nstype: number) => number;
  readonly ioctl: (fd: number, request: number, argument: number) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Buffer) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, flags: number) => number;
  readonly connect: (fd: number, address: Buffer) => number;
  /** Fills `address`; returns 0. */
  readonly getsockname: (fd: number, address: Buffer) => number;
  /** Fills `value`; returns its length. */
  readonly getsockopt: (fd: number, level: number, option: number, value: Buffer) => number;
  readonly setsockopt: (fd: number, level: number, option: number, value: Buffer) => number;
  /** Waits for `events` on one descriptor; returns the events that came, 0 on timeout. */
  readonly poll: (fd: number, events: number, timeoutMs: number) => number;
  readonly send: (fd: number, data: Buffer, flags: number) => number;
  /** Fills `data`; returns the number of bytes. */
  readonly recv: (fd: number, data: Buffer, flags: number) => number;
  readonly close: (fd: number) => number;
}

let loaded: Libc | undefined;

/** The C library of this very process; bound once. */
export function libc(): Libc {
  loaded ??= bindLibc();
  return loaded;
}

/** The name (`EPERM`) of a negative result. */
export function errnoName(result: number): string {
  return ERRNO_NAMES.get(-result) ?? `errno ${-result}`;
}

/** The first of several names for a number. */
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, value]) => [value, name]),
);

function bindLibc(): Libc {
  if (process.platform !== 'linux') {
    throw new ControllerError('WrongPlatform', `network namespaces are Linux only, this is ${process.platform}`);
  }
  const library = openProcess();
  const setns: (fd: number, nstype: number) => number = library.func('int setns(int fd, int nstype)');
  const ioctl: (fd: number, request: number, argument: number) => number = library.func(
    'int ioctl(int fd, unsigned long request, long argument)',
  );
  const socket: (domain: number, type: number, protocol: number) => number = library.func(
    'int socket(int domain, int type, int protocol)',
  );
  const bind: (fd: number, address: Buffer, length: number) => number = library.func(
    'int bind(int fd, void *address, uint32_t length)',
  );
  const listen: (fd: number, backlog: number) => number = library.func('int listen(int fd, int backlog)');
  const accept4: (fd: number, address: null, length: null, flags: number) => number = library.func(
    'int accept4(int fd, void *address, void *length, int flags)',
  );
  const connect: (fd: number, address: Buffer, length: number) => number = library.func(
    'int connect(int fd, void *address, uint32_t length)',
  );
  const getsockname: (fd: number, address: Buffer, length: Buffer) => number = library.func(
    'int getsockname(int fd, void *address, void *length)',
  );
  const getsockopt: (fd: number, level: number, option: number, value: Buffer, length: Buffer) => number = library.func(
    'int getsockopt(int fd, int level, int option, void *value, void *length)',
  );
  const setsockopt: (fd: number, level: number, option: number, value: Buffer, length: number) => number = library.func(
    'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
  );
  const poll: (entry: Buffer, count: number, timeoutMs: number) => number = library.func(
    'int poll(void *entry, unsigned long count, int timeout_ms)',
  );
  const send: (fd: number, data: Buffer, length: number, flags: number) => number = library.func(
    'intptr_t send(int fd, void *data, size_t length, int flags)',
  );
  const recv: (fd: number, data: Buffer, length: number, flags: number) => number = library.func(
    'intptr_t recv(int fd, void *data, size_t length, int flags)',
  );
  const close: (fd: number) => number = library.func('int close(int fd)');
  return {
    setns: (fd, nstype) => checked(setns(fd, nstype)),
    ioctl: (fd, request, argument) => checked(ioctl(fd, request, argument)),
    socket: (domain, type, protocol) => checked(socket(domain, type, protocol)),
    bind: (fd, address) => checked(bind(fd, address, address.length)),
    listen: (fd, backlog) => checked(listen(fd, backlog)),
    accept4: (fd, flags) => checked(accept4(fd, null, null, flags)),
    connect: (fd, address) => checked(connect(fd, address, address.length)),
    getsockname: (fd, address) => checked(getsockname(fd, address, uint32(address.length))),
    getsockopt: (fd, level, option, value) => {
      const length = uint32(value.length);
      const result = checked(getsockopt(fd, level, option, value, length));
      return result < 0 ? result : length.readUInt32LE();
    },
    setsockopt: (fd, level, option, value) => checked(setsockopt(fd, level, option, value, value.length)),
    poll: (fd, events, timeoutMs) => {
      // struct pollfd { int fd; short events; short revents; }
      const entry = Buffer.alloc(8);
      entry.writeInt32LE(fd, 0);
      entry.writeInt16LE(events, 4);
      const result = checked(poll(entry, 1, timeoutMs));
      return result <= 0 ? result : entry.readInt16LE(6);
    },
    send: (fd, data, flags) => checked(send(fd, data, data.length, flags)),
    recv: (fd, data, flags) => checked(recv(fd, data, data.length, flags)),
    close: (fd) => checked(close(fd)),
  };
}

/** errno must be read before anything else runs in this thread. */
function checked(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}

function openProcess(): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(null);
  } catch (error: unknown) {
    throw new ControllerError('WrongPlatform', `the C library cannot be reached: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** x64 and arm64 are both little-endian, and share these constants. */
export function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
