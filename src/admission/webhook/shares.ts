/** How much there is of something, and what one address gets of it: only several together can take all. */
export interface ShareLimits {
  readonly max: number;
  readonly perAddressMax: number;
}

/** Who holds how much of something bounded. */
export interface Shares {
  /** False, and nothing is taken, if there is not that much left, or not for this address. */
  take(address: string, amount: number): boolean;
  /** What was taken; once. */
  give(address: string, amount: number): void;
}

export function createShares({ max, perAddressMax }: ShareLimits): Shares {
  const held = new Map<string, number>();
  let total = 0;
  return {
    take: (address, amount) => {
      const own = (held.get(address) ?? 0) + amount;
      if (total + amount > max || own > perAddressMax) return false;
      total += amount;
      held.set(address, own);
      return true;
    },
    give: (address, amount) => {
      const own = (held.get(address) ?? 0) - amount;
      total -= amount;
      if (own > 0) held.set(address, own);
      else held.delete(address);
    },
  };
}
