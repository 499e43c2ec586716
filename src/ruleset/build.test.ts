import { describe, expect, it } from 'vitest';
import { type CaptureDefaults, type CapturePolicy, NO_DEFAULTS } from '../capture/policy.ts';
import { resolvePolicy } from '../capture/resolve.ts';
import { parsePod } from '../pod/parse-pod.ts';
import { buildRuleset } from './build.ts';
import { planProbes } from './probe-plan.ts';
import type { Chain, Rule } from './ruleset.ts';

const T = 'traffic.sidecar.istio.io';

function policyOf(annotations: Record<string, string> = {}, ipv6: CaptureDefaults['ipv6'] = 'both'): CapturePolicy {
  const pod = parsePod({
    metadata: { name: 'a', annotations },
    spec: { containers: [{ name: 'istio-proxy' }] },
    status: { podIPs: [{ ip: '10.0.0.1' }] },
  });
  const defaults = { ...NO_DEFAULTS, ipv6 };
  const result = resolvePolicy(pod, defaults, { sidecarName: 'istio-proxy' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

function chain(policy: CapturePolicy, name: string): Chain {
  const found = buildRuleset(policy).chains.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no chain ${name}`);
  return found;
}

/** Without the setting behind them. */
function reasons(rules: readonly Rule[]): string[] {
  return rules.map(({ reason, verdict }) => {
    const [what] = reason.split(': ');
    return `${what} → ${verdict.kind === 'jump' ? verdict.chain : verdict.kind}`;
  });
}

describe('rules', () => {
  it('stand in the order of Istio: who is exempt comes before what is excluded, what is excluded before what is captured', () => {
    const policy = policyOf({
      [`${T}/excludeOutboundPorts`]: '9300',
      [`${T}/excludeOutboundIPRanges`]: '192.0.2.0/24',
      [`${T}/includeOutboundPorts`]: '8080',
      [`${T}/includeOutboundIPRanges`]: '10.0.0.0/8',
      [`${T}/excludeInterfaces`]: 'eth9',
    });
    expect(reasons(chain(policy, 'output').rules)).toEqual([
      'excluded interface → return',
      'excluded outbound ports → return',
      'inbound passthrough of the proxy → return',
      'inbound passthrough of the proxy → return',
      'proxy uid to its own pod → redirect_inbound',
      'proxy uid to its own pod → redirect_inbound',
      'not proxy uid, within the pod → return',
      'proxy uid → return',
      'proxy gid to its own pod → redirect_inbound',
      'proxy gid to its own pod → redirect_inbound',
      'not proxy gid, within the pod → return',
      'proxy gid → return',
      'loopback → return',
      'loopback → return',
      'excluded outbound ranges → return',
      'included outbound ports → redirect_outbound',
      'included outbound ranges → redirect_outbound',
    ]);
  });

  it('send inbound traffic through the tunnel port and the exclusions first', () => {
    expect(reasons(chain(policyOf(), 'inbound').rules)).toEqual([
      'tunnel port → return',
      'excluded inbound ports → return',
      'every inbound port → redirect_inbound',
    ]);
    const listed = policyOf({ [`${T}/includeInboundPorts`]: '80,81', [`${T}/excludeInboundPorts`]: '80' });
    expect(reasons(chain(listed, 'inbound').rules)).toEqual([
      'tunnel port → return',
      'included inbound ports → redirect_inbound',
    ]);
  });

  it('take no inbound traffic at all where nothing is included', () => {
    const hooks = buildRuleset(policyOf({ [`${T}/includeInboundPorts`]: '' })).chains.map(({ base }) => base?.hook);
    expect(hooks).not.toContain('prerouting');
  });

  it('treat what arrives on a rerouted interface as outbound, before everything else', () => {
    const all = policyOf({ 'istio.io/reroute-virtual-interfaces': 'k6t0', [`${T}/excludeInterfaces`]: 'eth9' });
    expect(reasons(chain(all, 'prerouting').rules)).toEqual([
      'rerouted interface → redirect_outbound',
      'rerouted interface → return',
      'excluded interface → return',
      'inbound traffic → inbound',
    ]);
    const ranges = policyOf({
      'istio.io/reroute-virtual-interfaces': 'k6t0',
      [`${T}/includeOutboundIPRanges`]: '10.0.0.0/8,10.0.0.0/9,fd00::/8',
    });
    expect(reasons(chain(ranges, 'prerouting').rules).slice(0, 3)).toEqual([
      'rerouted interface → redirect_outbound',
      'rerouted interface → redirect_outbound',
      'rerouted interface → return',
    ]);
    expect(buildRuleset(ranges).sets.map(({ name }) => name)).toEqual([
      'include_outbound_ipv4',
      'exclude_inbound_ports',
    ]);
  });

  it('let other processes within the pod alone, unless loopback itself is captured', () => {
    const policy = policyOf({ [`${T}/includeOutboundIPRanges`]: '127.0.0.0/8' });
    expect(reasons(chain(policy, 'output').rules)).not.toContain('not proxy uid, within the pod → return');
  });

  it('leave IPv6 alone only for --ipv6=istio', () => {
    const [first, ...others] = chain(policyOf({}, 'istio'), 'output').rules;
    expect(first?.matches).toEqual([{ kind: 'family', family: 6 }]);
    expect(JSON.stringify(others)).not.toContain('::');
    expect(JSON.stringify(chain(policyOf(), 'output').rules)).toContain('::1');
  });

  it('are none for mode NONE, but the policy still has a hash', () => {
    const { chains, sets, policyHash } = buildRuleset(policyOf({ 'sidecar.istio.io/interceptionMode': 'NONE' }));
    expect([chains, sets]).toEqual([[], []]);
    expect(policyHash).toMatch(/^[0-9a-f]{16}$/);
  });

  it('have the same hash for the same policy in other words, another one for another policy', () => {
    const hash = (ranges: string) => buildRuleset(policyOf({ [`${T}/excludeOutboundIPRanges`]: ranges })).policyHash;
    expect(hash('10.0.0.0/8,192.0.2.0/24')).toBe(hash(' 192.0.2.0/24, 10.1.2.3/8'));
    expect(hash('10.0.0.0/8')).not.toBe(hash('10.0.0.0/9'));
  });

  it('name the setting they come from, fit for a comment, whatever the pod says there', () => {
    const annotations = {
      [`${T}/includeInboundPorts`]: '80,81',
      [`${T}/includeOutboundIPRanges`]: '10.0.0.0/8',
      [`${T}/excludeOutboundIPRanges`]: '10.9.0.0/16',
      [`${T}/includeOutboundPorts`]: '8080',
      [`${T}/excludeOutboundPorts`]: '9300',
      [`${T}/excludeInterfaces`]: 'eth9',
      'istio.io/reroute-virtual-interfaces': 'k6t0',
      'pod-network-controller.istio.io/envoy-port': '16001',
      'pod-network-controller.istio.io/inbound-port': '16006',
      'pod-network-controller.istio.io/envoy-userid': '2000',
      'pod-network-controller.istio.io/envoy-groupid': '2000',
    };
    const said = buildRuleset(policyOf(annotations)).chains.flatMap(({ rules }) => rules.map(({ reason }) => reason));
    for (const key of Object.keys(annotations)) expect(said.some((reason) => reason.endsWith(key))).toBe(true);
    for (const reason of said) expect(reason).toMatch(/^[ -!#-[\]-~]{1,120}$/);
    expect(said).toContain('included outbound ranges: annotation traffic.sidecar.istio.io/includeOutboundIPRanges');
    const defaults = chain(policyOf(), 'redirect_outbound').rules.map(({ reason }) => reason);
    expect(defaults).toEqual(['outbound port: default']);
  });

  it("never hold a container's name, which could be too long", () => {
    const name = 'x'.repeat(200);
    const pod = parsePod({
      metadata: { name: 'a' },
      spec: { containers: [{ name, securityContext: { runAsUser: 7, runAsGroup: 7 } }] },
    });
    const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: name });
    expect(result.ok && JSON.stringify(buildRuleset(result.policy))).not.toContain(name);
  });
});

describe('probes', () => {
  const probesOf = (annotations: Record<string, string> = {}, ipv6: CaptureDefaults['ipv6'] = 'both') =>
    planProbes(policyOf(annotations, ipv6)).map((probe) =>
      probe.kind === 'connect' ? `${probe.address} ${probe.port} ${probe.expect}` : probe.kind,
    );

  it('show in both families that traffic is captured, an excluded port is not, and the pod keeps to itself', () => {
    expect(probesOf({ [`${T}/excludeOutboundPorts`]: '9300' })).toEqual([
      '192.0.2.1 4 redirected',
      '192.0.2.1 9300 untouched',
      '127.0.0.1 4 untouched',
      '2001:db8::1 4 redirected',
      '2001:db8::1 9300 untouched',
      '::1 4 untouched',
    ]);
  });

  it('go around what is excluded, and show that it is', () => {
    const probes = probesOf({ [`${T}/excludeOutboundIPRanges`]: '192.0.2.0/24', [`${T}/excludeOutboundPorts`]: '4,6' });
    expect(probes.slice(0, 3)).toEqual([
      '198.51.100.1 8 redirected',
      '198.51.100.1 4 untouched',
      '192.0.2.1 8 untouched',
    ]);
  });

  it('use an included range, or an included port where there is none', () => {
    expect(probesOf({ [`${T}/includeOutboundIPRanges`]: '10.5.0.0/16' })[0]).toBe('10.5.255.254 4 redirected');
    expect(probesOf({ [`${T}/includeOutboundIPRanges`]: '10.5.0.7/32' })[0]).toBe('10.5.0.7 4 redirected');
    expect(probesOf({ [`${T}/includeOutboundIPRanges`]: '0.0.0.0/1,10.0.0.0/8' })[0]).toBe(
      '10.255.255.254 4 redirected',
    );
    expect(probesOf({ [`${T}/includeOutboundIPRanges`]: '10.0.0.0/8,0.0.0.0/0' })[0]).toBe('192.0.2.1 4 redirected');
    const ports = probesOf({ [`${T}/includeOutboundIPRanges`]: '', [`${T}/includeOutboundPorts`]: '8080' });
    expect(ports[0]).toBe('192.0.2.1 8080 redirected');
  });

  it('promise no capture where nothing is captured', () => {
    const none = probesOf({ [`${T}/includeOutboundIPRanges`]: '' });
    expect(none).toEqual(['127.0.0.1 4 untouched', '::1 4 untouched']);
    const everythingExcluded = probesOf({ [`${T}/excludeOutboundIPRanges`]: '0.0.0.0/0,::/0' });
    expect(everythingExcluded.some((probe) => probe.endsWith('redirected'))).toBe(false);
    expect(probesOf({ 'sidecar.istio.io/interceptionMode': 'NONE' })).toEqual([]);
  });

  it('expect what Istio leaves alone of loopback to stay within the pod, even if loopback is included', () => {
    const included = { [`${T}/includeOutboundIPRanges`]: '127.0.0.0/8,::1/128' };
    expect(probesOf(included)).toEqual(['127.0.0.1 4 untouched', '::1 4 untouched']);
    const { loopbackRange, ...rest } = policyOf(included);
    const elsewhere = { ...loopbackRange, value: { family: 4, address: '127.0.0.2', prefix: 32 } } as const;
    expect(planProbes({ ...rest, loopbackRange: elsewhere }).map(({ address }) => address)).toEqual(['::1']);
  });

  it('leave IPv6 out where it is not captured', () => {
    expect(probesOf({}, 'istio').join()).not.toContain('::');
  });
});
