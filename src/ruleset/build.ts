import { createHash } from 'node:crypto';
import type { CapturePolicy } from '../capture/policy.ts';
import { baseChain } from './chains.ts';
import { dnsChains, rawOutput, rawPrerouting } from './dns.ts';
import { passthroughOf } from './exempt.ts';
import { inboundChains, natPrerouting } from './inbound.ts';
import { natOutput, outboundChains } from './outbound.ts';
import { type Chain, NO_ROUTING, type Routing, type Ruleset, TABLE } from './ruleset.ts';
import { createTargets } from './targets.ts';
import { mangleOutput, manglePrerouting, markedToLocal, tproxyChains } from './tproxy.ts';

/** Changes when the same policy gives other rules for another reason than its content, so that running pods are brought up to date. */
const FORMAT = 2;

/**
 * The rules of a policy: what Istio writes for the same settings, in its order, in one table for both families. Pure.
 * Mode NONE has no chains.
 */
export function buildRuleset(policy: CapturePolicy): Ruleset {
  if (policy.mode.value === 'NONE') return hashed([], [], NO_ROUTING);
  const targets = createTargets({ ipv6: policy.ipv6.value });
  const chains = [
    ...baseChain(policy, { hook: 'prerouting', at: 'raw' }, rawPrerouting(policy, targets)),
    ...baseChain(policy, { hook: 'output', at: 'raw' }, rawOutput(policy, targets)),
    ...baseChain(policy, { hook: 'prerouting', at: 'mangle' }, manglePrerouting(policy)),
    ...baseChain(policy, { hook: 'output', at: 'mangle' }, mangleOutput(policy)),
    ...baseChain(policy, { hook: 'prerouting', at: 'nat' }, natPrerouting(policy, targets)),
    ...baseChain(policy, { hook: 'output', at: 'nat' }, natOutput(policy, targets)),
    ...tproxyChains(policy, targets),
    ...inboundChains(policy, targets),
    ...outboundChains(policy),
    ...dnsChains(policy),
  ];
  return hashed(targets.sets, chains, {
    // IPv4's passthrough address is one of 127.0.0.0/8, all of which is local anyway.
    loopbackAddresses: passthroughOf(policy).flatMap((one) => {
      return one.family === 6 && 'address' in one ? [{ family: 6, address: one.address, prefix: 128 } as const] : [];
    }),
    markedToLocal: markedToLocal(policy),
  });
}

function hashed(sets: Ruleset['sets'], chains: readonly Chain[], routing: Routing): Ruleset {
  const content = JSON.stringify([FORMAT, TABLE, sets, chains, routing]);
  const policyHash = createHash('sha256').update(content).digest('hex').slice(0, 16);
  return { table: TABLE, policyHash, sets, chains, routing };
}
