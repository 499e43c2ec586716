/** A seeded source of choices: the same seed and index give the same choices everywhere, and no index needs those before it. */
export interface Choices {
  /** From 0 to just below 1. */
  next(): number;
  /** A whole number from 0 to `max`. */
  upTo(max: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
}

export function choicesOf(seed: number, index: number): Choices {
  let state = (mixed(seed ^ 0x9e37_79b9) ^ mixed(Math.imul(index, 0x85eb_ca6b) ^ 0xc2b2_ae35)) >>> 0;
  // mulberry32: small, fast, and the same everywhere.
  const next = (): number => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    upTo: (max) => Math.floor(next() * (max + 1)),
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
  };
}

function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb_352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846c_a68b);
  return bits ^ (bits >>> 16);
}
