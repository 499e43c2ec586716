import { cutToBytes } from '../cut-text.ts';

/**
 * The netns mark: the alias of the pod's own `lo`, which the gate reads and only CAP_NET_ADMIN over the netns can write.
 * IFLA_IFALIAS holds at most 255 bytes (linux/if.h IFALIASZ is 256 with the terminator).
 */
export const MARK_PREFIX = 'istio-pod-network-controller v1';
export const MARK_BYTES_MAX = 255;

export type Mark =
  | { readonly kind: 'none' }
  | { readonly kind: 'ready'; readonly policyHash: string }
  | { readonly kind: 'refused'; readonly code: string; readonly text: string }
  /** Somebody else uses the alias: never read as ours, and overwritten only by the agent. */
  | { readonly kind: 'foreign'; readonly alias: string };

const READY = /^ready ([0-9a-f]{16})$/;
const REFUSED = /^refused ([A-Za-z]+): (.*)$/s;

/** Reads an alias (with or without the newline sysfs adds). A damaged mark of ours is `foreign`: it opens nothing. */
export function parseMark(alias: string): Mark {
  const text = alias.endsWith('\n') ? alias.slice(0, -1) : alias;
  if (text === '') return { kind: 'none' };
  if (!text.startsWith(`${MARK_PREFIX} `)) return { kind: 'foreign', alias: text };
  const body = text.slice(MARK_PREFIX.length + 1);
  const ready = READY.exec(body);
  if (ready?.[1] !== undefined) return { kind: 'ready', policyHash: ready[1] };
  const refused = REFUSED.exec(body);
  if (refused?.[1] !== undefined && refused[2] !== undefined) {
    return { kind: 'refused', code: refused[1], text: refused[2] };
  }
  return { kind: 'foreign', alias: text };
}

/** The alias that opens the gate. `policyHash` is 16 lower-case hex digits. */
export function readyMark(policyHash: string): string {
  return `${MARK_PREFIX} ready ${policyHash}`;
}

/** The alias that keeps the gate shut and tells why. Cut to the kernel's limit on a character boundary; one line. */
export function refusedMark(code: string, text: string): string {
  const line = text.replace(/\p{Cc}+/gu, ' ').trim();
  return cutToBytes(`${MARK_PREFIX} refused ${code}: ${line}`, MARK_BYTES_MAX);
}
