import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import type { Pod } from '../pod/pod.ts';
import { cidrText } from './cidr.ts';
import { type CaptureDefaults, type CapturePolicy, NO_DEFAULTS, type Problem } from './policy.ts';
import { resolvePolicy } from './resolve.ts';

interface PodParts {
  readonly annotations?: Record<string, string>;
  /** `istio-iptables` arguments the gate inherited. */
  readonly inherited?: readonly string[];
  readonly gateEnv?: readonly object[];
  readonly proxyEnv?: readonly object[];
  readonly proxySecurity?: object;
  readonly podSecurity?: object;
  readonly podIPs?: readonly string[];
}

function podOf(parts: PodParts): Pod {
  const gate = {
    name: 'gate',
    args: ['init', '--', 'istio-iptables', ...(parts.inherited ?? [])],
    env: parts.gateEnv ?? [],
  };
  return parsePod({
    metadata: { name: 'a', annotations: parts.annotations ?? {} },
    spec: {
      securityContext: parts.podSecurity,
      initContainers: parts.inherited === undefined ? [] : [gate],
      containers: [
        { name: 'app' },
        { name: 'istio-proxy', env: parts.proxyEnv ?? [], securityContext: parts.proxySecurity },
      ],
    },
    status: { podIPs: (parts.podIPs ?? []).map((ip) => ({ ip })) },
  });
}

function policyOf(parts: PodParts, defaults: Partial<CaptureDefaults> = {}): CapturePolicy {
  const result = resolvePolicy(podOf(parts), { ...NO_DEFAULTS, ...defaults }, { sidecarName: 'istio-proxy' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

function problemsOf(parts: PodParts, defaults: Partial<CaptureDefaults> = {}): readonly Problem[] {
  const result = resolvePolicy(podOf(parts), { ...NO_DEFAULTS, ...defaults }, { sidecarName: 'istio-proxy' });
  return result.ok ? [] : result.problems;
}

const T = 'traffic.sidecar.istio.io';

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => index + 1).join(',');
}

describe('where a setting comes from', () => {
  it("is Istio's own default where nothing is said, with what Istio's CNI adds", () => {
    const policy = policyOf({});
    expect(policy.outboundPort).toEqual({ value: 15_001, source: { kind: 'default', key: '', raw: '' } });
    expect(policy.inboundPorts.value).toEqual({ all: true });
    expect(policy.outboundRanges.value).toEqual({ all: true });
    expect(policy.excludeInboundPorts.value).toEqual([15_020, 15_021, 15_090]);
    expect(policy.excludeOutboundPorts.value).toEqual([15_020]);
    expect([policy.proxyUids.value, policy.proxyGids.value]).toEqual([[1337], [1337]]);
  });

  it('is the flag of the agent before the default, the annotation before the flag, the argument before the annotation', () => {
    const annotations = { [`${T}/excludeOutboundIPRanges`]: '10.2.0.0/16' };
    const defaults = { excludeOutboundRanges: [{ family: 4, address: '10.1.0.0', prefix: 16 }] } as const;
    const value = (policy: CapturePolicy) => policy.excludeOutboundRanges.value.map(cidrText).join();
    expect(value(policyOf({}, defaults))).toBe('10.1.0.0/16');
    expect(value(policyOf({ annotations }, defaults))).toBe('10.2.0.0/16');
    const strongest = policyOf({ annotations, inherited: ['-x', '10.3.0.0/16'] }, defaults);
    expect(value(strongest)).toBe('10.3.0.0/16');
    expect(strongest.excludeOutboundRanges.source).toEqual({
      kind: 'argument',
      key: '--istio-service-exclude-cidr',
      raw: '10.3.0.0/16',
    });
  });

  it('lets our own annotations override even the arguments', () => {
    const annotations = {
      'pod-network-controller.istio.io/envoy-port': '16001',
      'pod-network-controller.istio.io/inbound-port': '16006',
      'pod-network-controller.istio.io/envoy-userid': '2000',
      'pod-network-controller.istio.io/envoy-groupid': '2001',
    };
    const policy = policyOf({ annotations, inherited: ['-p', '15001', '-z', '15006', '-u', '1337', '-g', '1337'] });
    expect([policy.outboundPort.value, policy.inboundPort.value]).toEqual([16_001, 16_006]);
    expect([policy.proxyUids.value, policy.proxyGids.value]).toEqual([[2000], [2001]]);
    expect(policy.outboundPort.source.kind).toBe('override');
  });

  it("takes MeshConfig's ports and the chart's values from the arguments, and adds nothing to their lists", () => {
    const policy = policyOf({
      inherited: ['-p', '17001', '-z', '17006', '-e', '17008', '-d', '15090', '-i', '*', '-b', '8080'],
    });
    expect([policy.outboundPort.value, policy.inboundPort.value, policy.tunnelPort.value]).toEqual([
      17_001, 17_006, 17_008,
    ]);
    expect(policy.excludeInboundPorts.value).toEqual([15_090]);
    expect(policy.excludeOutboundPorts.value).toEqual([]);
    expect(policy.inboundPorts.value).toEqual({ all: false, items: [8_080] });
  });

  it("reads a variable of Istio's tool where its flag is not given", () => {
    const policy = policyOf({ inherited: [], gateEnv: [{ name: 'ISTIO_SERVICE_CIDR', value: '10.0.0.0/8' }] });
    expect(policy.outboundRanges.source).toEqual({ kind: 'environment', key: 'ISTIO_SERVICE_CIDR', raw: '10.0.0.0/8' });
  });

  it('takes an empty variable for none, and an empty mode, uid or gid for the default of Istio', () => {
    const proxyEnv = [
      { name: 'ISTIO_META_DNS_CAPTURE', value: '' },
      { name: 'ISTIO_OUTBOUND_OWNER_GROUPS', value: '' },
    ];
    const policy = policyOf({ proxyEnv, inherited: ['-u', '', '-g', '', '-m', ''] });
    expect([policy.proxyUids.value, policy.proxyGids.value, policy.mode.value]).toEqual([[1337], [1337], 'REDIRECT']);
    expect(problemsOf({ inherited: ['-p', ''] })).toHaveLength(1);
  });

  it('shows what a flag of the agent said', () => {
    const defaults = {
      excludeOutboundRanges: [{ family: 4, address: '10.1.0.0', prefix: 16 }],
      outboundRanges: { all: true },
      excludeInboundPorts: [22, 80],
      outboundPort: 16_001,
    } as const;
    const policy = policyOf({}, defaults);
    expect(policy.excludeOutboundRanges.source.raw).toBe('10.1.0.0/16');
    expect(policy.outboundRanges.source.raw).toBe('*');
    expect(policy.excludeInboundPorts.source.raw).toBe('22,80');
    expect(policy.outboundPort.source).toEqual({ kind: 'flag', key: '--envoy-port', raw: '16001' });
  });

  it('reads a gate that was written by hand with its verb in command', () => {
    const gate = { name: 'gate', command: ['controller', 'init', '--', 'istio-iptables'], args: ['-p', '17001'] };
    const pod = parsePod({ metadata: { name: 'a' }, spec: { initContainers: [gate], containers: [] } });
    const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
    expect(result.ok && result.policy.outboundPort.value).toBe(17_001);
  });

  it('finds the proxy by its securityContext, then the pod’s; root is nobody', () => {
    expect(
      policyOf({
        proxySecurity: { runAsUser: 1000689999 },
        podSecurity: { runAsUser: 5, runAsGroup: 6 },
      }),
    ).toMatchObject({
      proxyUids: { value: [1000689999] },
      // The application shares the pod's gid: it must not be exempt by it.
      proxyGids: { value: [1337] },
    });
    // Such a sidecar does not run with the pod's id; the application does.
    const root = { proxySecurity: { runAsUser: 0, runAsGroup: 0 }, podSecurity: { runAsUser: 5, runAsGroup: 6 } };
    expect(policyOf(root)).toMatchObject({ proxyUids: { value: [1337] }, proxyGids: { value: [1337] } });
    expect(policyOf({ proxySecurity: { runAsUser: 0 } }).proxyUids.value).toEqual([1337]);
    expect(policyOf({ proxySecurity: { runAsUser: 5 }, inherited: ['-u', '1337,1338'] }).proxyUids.value).toEqual([
      1337, 1338,
    ]);
  });

  it("excludes outbound port 15020 of pods injected for Istio's CNI, where nobody says which ports, as the plugin does", () => {
    const check = ['-b', '*', '-d', '15090,15021,15020', '--run-validation', '--skip-rule-apply'];
    const exclude = (...inherited: readonly string[]) => policyOf({ inherited }).excludeOutboundPorts.value;
    expect(exclude(...check)).toEqual([15_020]);
    expect(exclude(...check, '--skip-rule-apply=false')).toEqual([]);
    expect(exclude(...check, '-o', '9000')).toEqual([9_000]);
    expect(exclude(...check, '-o', '')).toEqual([]);
    const annotations = { [`${T}/excludeOutboundPorts`]: '' };
    expect(policyOf({ inherited: check, annotations }).excludeOutboundPorts.value).toEqual([]);
  });

  it('adds the status port of the pod to the excluded inbound ports, unless it is off', () => {
    const exclude = (statusPort: string) =>
      policyOf({ annotations: { 'status.sidecar.istio.io/port': statusPort } }).excludeInboundPorts.value;
    expect(exclude('16020')).toEqual([15_020, 15_021, 15_090, 16_020]);
    expect(exclude('0')).toEqual([15_020, 15_021, 15_090]);
  });

  it('reads the old name of the rerouted interfaces only where the new one is absent', () => {
    const old = { [`${T}/kubevirtInterfaces`]: 'k6t-old' };
    expect(policyOf({ annotations: old }).rerouteInterfaces.value).toEqual(['k6t-old']);
    const both = { ...old, 'istio.io/reroute-virtual-interfaces': 'k6t-new' };
    expect(policyOf({ annotations: both }).rerouteInterfaces.value).toEqual(['k6t-new']);
  });

  it('captures nothing where a pod says so', () => {
    const policy = policyOf({
      annotations: { [`${T}/includeInboundPorts`]: '', [`${T}/includeOutboundIPRanges`]: '' },
    });
    expect(policy.inboundPorts.value).toEqual({ all: false, items: [] });
    expect(policy.outboundRanges.value).toEqual({ all: false, items: [] });
    expect(policyOf({ annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } }).mode.value).toBe('NONE');
  });
});

describe('IPv6', () => {
  const captured = (parts: PodParts, ipv6: 'both' | 'istio') => policyOf(parts, { ipv6 }).ipv6.value;

  it('is captured, unless the operator wants it as Istio does it', () => {
    expect(captured({ podIPs: ['10.0.0.1'] }, 'both')).toBe(true);
    expect(captured({ podIPs: ['10.0.0.1', 'fd00::1'] }, 'istio')).toBe(false);
    expect(captured({ podIPs: ['fd00::1', '10.0.0.1'] }, 'istio')).toBe(true);
    expect(captured({ podIPs: ['10.0.0.1'], proxyEnv: [{ name: 'ISTIO_DUAL_STACK', value: 'true' }] }, 'istio')).toBe(
      true,
    );
    expect(captured({ podIPs: [] }, 'istio')).toBe(true);
  });
});

describe('refusals', () => {
  it('names key, value and what is allowed, for every setting that is wrong', () => {
    const annotations = { [`${T}/excludeOutboundPorts`]: '80;443', [`${T}/excludeInterfaces`]: '-i eth0' };
    const problems = problemsOf({ annotations, inherited: ['-i', '10.0.0.0'] });
    expect(problems.map(({ key, value }) => `${key}=${value}`)).toEqual([
      `${T}/excludeOutboundPorts=80;443`,
      '--istio-service-cidr=10.0.0.0',
      `${T}/excludeInterfaces=-i eth0`,
    ]);
    for (const { allowed } of problems) expect(allowed).not.toBe('');
  });

  it('counts arguments it does not know instead of naming thousands', () => {
    const problems = problemsOf({ inherited: Array.from({ length: 100_000 }, (_, index) => `word${index}`) });
    expect(problems).toHaveLength(9);
    expect(problems.at(-1)?.value).toBe('and 99992 more');
  });

  it('never lets a weaker place stand in for a stronger one that is wrong', () => {
    const annotations = { [`${T}/includeInboundPorts`]: '80' };
    expect(problemsOf({ annotations, inherited: ['-b', 'oops'] })).toHaveLength(1);
  });

  it.each([
    ['a mode that is none', { annotations: { 'sidecar.istio.io/interceptionMode': 'MAGIC' } }],
    ['a DNS switch that is neither true nor false', { proxyEnv: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'yes' }] }],
    ['an owner group by name', { proxyEnv: [{ name: 'ISTIO_OUTBOUND_OWNER_GROUPS', value: 'java' }] }],
    ['no owner group', { proxyEnv: [{ name: 'ISTIO_OUTBOUND_OWNER_GROUPS', value: ' ' }] }],
    ['an excluded owner group `*`', { proxyEnv: [{ name: 'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE', value: '*' }] }],
    ['too many owner groups', { proxyEnv: [{ name: 'ISTIO_OUTBOUND_OWNER_GROUPS', value: numbers(65) }] }],
    ['no mark', { inherited: ['-t', '0'] }],
    ['a mark that is taken', { inherited: ['-t', '1338'] }],
    ['a mark in hex', { inherited: ['-t', '0x539'] }],
    ['the route table of the kernel', { inherited: ['-r', '254'] }],
    ['a route table by name', { inherited: ['-r', 'main'] }],
    ['an argument of the future', { inherited: ['--capture-quic'] }],
    ['a setting that cannot be known', { proxyEnv: [{ name: 'ISTIO_META_DNS_CAPTURE', valueFrom: { fieldRef: {} } }] }],
    [
      'a loopback range that is none',
      { proxyEnv: [{ name: 'ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR', value: '10.0.0.0/8' }] },
    ],
  ] as [string, PodParts][])('says so for %s, instead of ignoring it', (_, parts) => {
    expect(problemsOf(parts)).toHaveLength(1);
  });

  it('has nothing against a switch where nothing is captured, but still against what cannot be read', () => {
    const none = { 'sidecar.istio.io/interceptionMode': 'NONE' };
    const proxyEnv = [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }];
    expect(problemsOf({ annotations: none, proxyEnv })).toEqual([]);
    expect(problemsOf({ annotations: { ...none, [`${T}/excludeOutboundPorts`]: 'x' }, proxyEnv })).toHaveLength(1);
  });

  it('is not disturbed by switches that are off', () => {
    const proxyEnv = [
      { name: 'ISTIO_META_DNS_CAPTURE', value: 'false' },
      { name: 'ISTIO_OUTBOUND_OWNER_GROUPS', value: '*' },
      { name: 'INVALID_DROP', value: '0' },
    ];
    expect(
      problemsOf({ proxyEnv, inherited: ['--redirect-dns=false', '--native-nftables', '--probe-timeout', '5s'] }),
    ).toEqual([]);
  });

  it('answers any annotation and argument without an exception, and the same every time', () => {
    const keys = [
      'includeInboundPorts',
      'excludeInboundPorts',
      'includeOutboundPorts',
      'excludeOutboundPorts',
      'includeOutboundIPRanges',
      'excludeInterfaces',
    ];
    const text = fc.string({ unit: 'binary', maxLength: 30 });
    fc.assert(
      fc.property(fc.constantFrom(...keys), text, fc.array(text, { maxLength: 5 }), (key, value, inherited) => {
        const pod = podOf({ annotations: { [`${T}/${key}`]: value }, inherited });
        const resolve = () => resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
        expect(resolve()).toEqual(resolve());
      }),
    );
  });
});
