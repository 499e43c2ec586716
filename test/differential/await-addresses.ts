import { readFileSync } from 'node:fs';

/** IFA_F_TENTATIVE of linux/if_addr.h. */
const TENTATIVE = 0x40;
const WAIT_MS = 2;
const WAITS_MAX = 2_500;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until every IPv6 address of the current netns can be used: the kernel looks for duplicates of link-local addresses for a second
 * or two, and brings even one of lo to use only in a work queue.
 */
export function awaitAddresses(): void {
  for (let round = 0; round < WAITS_MAX; round += 1) {
    const rows = readFileSync('/proc/thread-self/net/if_inet6', 'latin1').trim().split('\n');
    if (!rows.some(isTentative)) return;
    Atomics.wait(nothing, 0, 0, WAIT_MS);
  }
  throw new Error('an IPv6 address stays tentative');
}

/** `address interface-number prefix scope flags name`, numbers in hex. */
function isTentative(row: string): boolean {
  const flags = row.split(/\s+/)[4] ?? '0';
  return (Number.parseInt(flags, 16) & TENTATIVE) !== 0;
}
