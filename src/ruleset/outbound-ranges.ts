import { type Family, isWithin, parseAddress } from '../address.ts';
import { mergedRanges } from '../capture/cidr.ts';
import type { CapturePolicy, Cidr } from '../capture/policy.ts';

/** What a policy says of addresses of one family. */
export interface OutboundRanges {
  /** In the order of the policy; undefined: all addresses are included. */
  readonly included: readonly Cidr[] | undefined;
  /** In the order of the policy. */
  readonly excluded: readonly Cidr[];
  readonly isIncluded: (address: string) => boolean;
  readonly isExcluded: (address: string) => boolean;
}

/** Both lists can hold thousands of ranges, and a probe asks about as many addresses: each list is read once. */
export function outboundRanges(policy: CapturePolicy, family: Family): OutboundRanges {
  const ofFamily = (ranges: readonly Cidr[]): readonly Cidr[] => ranges.filter((one) => one.family === family);
  const { value } = policy.outboundRanges;
  const included = value.all ? undefined : ofFamily(value.items);
  const excluded = ofFamily(policy.excludeOutboundRanges.value);
  return {
    included,
    excluded,
    isIncluded: included === undefined ? () => true : holder(family, included),
    isExcluded: holder(family, excluded),
  };
}

function holder(family: Family, ranges: readonly Cidr[]): (address: string) => boolean {
  const merged = mergedRanges(family, ranges);
  return (address) => {
    const bits = parseAddress(family, address);
    return bits !== undefined && isWithin(merged, bits);
  };
}
