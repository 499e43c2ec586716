import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type ExemptOwners, isExempt } from '../ruleset/probe.ts';
import { libc } from './libc.ts';
import { canonical } from './sockaddr.ts';

/** Who sends the probes, as the rules of the netns see it. */

/** linux/nsfs.h */
const NS_GET_USERNS = 0xb701;

/** What lets a sender that the policy captures go, or undefined: the interface it leaves by, or the user it runs as. */
export function exemptionOf(
  source: () => string,
  rules: { readonly interfaces: readonly string[]; readonly owners: ExemptOwners },
): string | undefined {
  if (rules.interfaces.length > 0) {
    const address = source();
    const name = rules.interfaces.find((one) => holdsAddress(one, address));
    if (name !== undefined) return name;
  }
  return exemptSender(rules.owners);
}

function exemptSender(owners: ExemptOwners): string | undefined {
  const { own, overflow } = ids();
  // Nearly always the same, and then it does not matter which of them we are here.
  if (isExempt(own, owners) === isExempt(overflow, owners)) return isExempt(own, owners) ? nameOf(own) : undefined;
  const sender = isOwnUserNamespace() ? own : overflow;
  return isExempt(sender, owners) ? nameOf(sender) : undefined;
}

/**
 * A pod with `hostUsers: false` has a user namespace of its own, its netns belongs to that, and its rules see owners as it does: users of
 * the host, ours among them, are nobody there.
 */
function isOwnUserNamespace(): boolean {
  const netns = openSync('/proc/thread-self/ns/net', constants.O_RDONLY);
  const owner = libc().ioctl(netns, NS_GET_USERNS, 0);
  closeSync(netns);
  if (owner < 0) return true;
  try {
    return fstatSync(owner).ino === statSync('/proc/thread-self/ns/user').ino;
  } finally {
    closeSync(owner);
  }
}

interface Ids {
  readonly uid: number;
  readonly gid: number;
}

let knownIds: { readonly own: Ids; readonly overflow: Ids } | undefined;

/** Of this process, which never changes them, and of everybody that a user namespace does not know. */
function ids(): NonNullable<typeof knownIds> {
  knownIds ??= {
    own: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
    overflow: { uid: readId('overflowuid'), gid: readId('overflowgid') },
  };
  return knownIds;
}

function readId(name: string): number {
  return Number(readFileSync(`/proc/sys/kernel/${name}`, 'latin1'));
}

function nameOf({ uid, gid }: Ids): string {
  return `the probe's sender (uid ${uid}, gid ${gid})`;
}

function holdsAddress(name: string, address: string): boolean {
  return (networkInterfaces()[name] ?? []).some((one) => canonical(one.address) === address);
}
