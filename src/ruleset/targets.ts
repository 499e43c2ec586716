import { cidrText } from '../capture/cidr.ts';
import type { Cidr } from '../capture/policy.ts';
import type { AddressTarget, PortTarget, RuleSetDefinition } from './ruleset.ts';

/** Collects the sets of a ruleset: a list of one needs none, a longer one becomes a set, so that its length costs nothing per packet. */
export interface Targets {
  /** No target for an empty list: then there is no rule. A name stands for one list: asking again gives the same set. */
  ports(name: string, ports: readonly number[]): readonly PortTarget[];
  /** One target per family that occurs in `cidrs`. A name stands for one list: asking again gives the same set. */
  addresses(name: string, cidrs: readonly Cidr[]): readonly AddressTarget[];
  readonly sets: readonly RuleSetDefinition[];
}

export function createTargets(options: { readonly ipv6: boolean }): Targets {
  const sets: RuleSetDefinition[] = [];

  function family(name: string, cidrs: readonly Cidr[], wanted: 4 | 6): readonly AddressTarget[] {
    const own = cidrs.filter((cidr) => cidr.family === wanted);
    const [first, ...more] = own;
    if (first === undefined) return [];
    if (more.length === 0) return [first];
    const set = `${name}_ipv${wanted}`;
    // Sorted, so that the same ranges in another order are the same policy.
    const elements = own
      .toSorted((a, b) => (cidrText(a) < cidrText(b) ? -1 : 1))
      .map(({ address, prefix }) => ({ address, prefix }));
    // Rerouted interfaces and outbound traffic ask for the same ranges.
    if (!sets.some((one) => one.name === set)) sets.push({ name: set, type: wanted === 4 ? 'ipv4' : 'ipv6', elements });
    return [{ family: wanted, set }];
  }

  return {
    ports: (name, ports) => {
      const [first, ...more] = new Set(ports);
      if (first === undefined) return [];
      if (more.length === 0) return [{ port: first }];
      if (!sets.some((one) => one.name === name)) sets.push({ name, type: 'port', elements: [first, ...more] });
      return [{ set: name }];
    },
    addresses: (name, cidrs) => [...family(name, cidrs, 4), ...(options.ipv6 ? family(name, cidrs, 6) : [])],
    sets,
  };
}
