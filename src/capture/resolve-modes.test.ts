import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import { type CapturePolicy, NO_DEFAULTS } from './policy.ts';
import { resolvePolicy } from './resolve.ts';

interface Parts {
  /** `istio-iptables` arguments the gate inherited; without, the pod was injected for Istio's CNI. */
  readonly inherited?: readonly string[];
  readonly gateEnv?: Readonly<Record<string, string>>;
  readonly proxyEnv?: Readonly<Record<string, string>>;
  readonly spec?: object;
  readonly nameservers?: readonly string[];
}

const env = (values: Readonly<Record<string, string>> = {}) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));

function policyOf({ inherited, gateEnv, proxyEnv, spec, nameservers }: Parts): CapturePolicy {
  const gate = { name: 'gate', args: ['init', '--', 'istio-iptables', ...(inherited ?? [])], env: env(gateEnv) };
  const pod = parsePod({
    metadata: { name: 'a' },
    spec: {
      initContainers: inherited === undefined ? [] : [gate],
      containers: [{ name: 'istio-proxy', env: env(proxyEnv) }],
      ...spec,
    },
  });
  const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy', nameservers });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

const DNS_ON = { ISTIO_META_DNS_CAPTURE: 'true' };

describe('DNS capture', () => {
  const dns = (parts: Parts) => policyOf(parts).dns.value;
  const servers = (parts: Parts) => {
    const value = dns(parts);
    return value.kind === 'servers' ? value.servers.map(({ address, prefix }) => `${address}/${prefix}`) : value.kind;
  };

  it('is off unless somebody asks for it', () => {
    expect(dns({})).toEqual({ kind: 'off' });
    expect(dns({ proxyEnv: { ISTIO_META_DNS_CAPTURE: 'false' }, nameservers: ['10.96.0.10'] })).toEqual({
      kind: 'off',
    });
    expect(dns({ inherited: ['--redirect-dns=false'], proxyEnv: DNS_ON })).toEqual({ kind: 'off' });
  });

  it('takes every query of a pod without arguments, as the CNI does', () => {
    expect(servers({ proxyEnv: DNS_ON, nameservers: ['10.96.0.10'] })).toBe('all');
  });

  it("takes those to the pod's own servers in init mode, as the init container does", () => {
    const nameservers = ['10.96.0.10', '2001:DB8::0:A', '10.96.0.10', 'dns.example', '10.0.0.1%eth0', 'fe80::1%', ''];
    expect(servers({ inherited: ['--redirect-dns'], nameservers })).toEqual(['10.96.0.10/32', '2001:db8::a/128']);
    expect(servers({ inherited: [], proxyEnv: DNS_ON, nameservers })).toEqual(['10.96.0.10/32', '2001:db8::a/128']);
  });

  it('takes a server with a zone id, or IPv4 in IPv6 form, for what it is on the wire', () => {
    const nameservers = ['fe80::1%eth0', '::ffff:10.0.0.1', '::FFFF:a00:2', '10.0.0.1'];
    expect(servers({ inherited: ['--redirect-dns'], nameservers })).toEqual([
      'fe80::1/128',
      '10.0.0.1/32',
      '10.0.0.2/32',
    ]);
  });

  it('takes every query in init mode, too, if asked to, or if the servers cannot be known', () => {
    expect(servers({ inherited: ['--redirect-dns', '--capture-all-dns'], nameservers: ['10.96.0.10'] })).toBe('all');
    expect(
      servers({ inherited: ['--redirect-dns'], gateEnv: { CAPTURE_ALL_DNS: 'true' }, nameservers: ['10.96.0.10'] }),
    ).toBe('all');
    expect(servers({ inherited: ['--redirect-dns'] })).toBe('all');
  });

  it('knows the servers of a pod that brings its own', () => {
    const spec = { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.53'] } };
    expect(servers({ inherited: ['--redirect-dns'], spec })).toEqual(['192.0.2.53/32']);
    expect(servers({ inherited: ['--redirect-dns'], spec: { ...spec, dnsPolicy: 'ClusterFirst' } })).toBe('all');
  });

  it('takes every query of a pod whose arguments only check the work of the CNI plugin', () => {
    const inherited = ['--redirect-dns', '--run-validation', '--skip-rule-apply'];
    expect(servers({ inherited, nameservers: ['10.96.0.10'] })).toBe('all');
    for (const word of ['--skip-rule-apply=false', '--capture-all-dns=false'])
      expect(servers({ inherited: [...inherited, word], nameservers: ['10.96.0.10'] })).toEqual(['10.96.0.10/32']);
  });

  it("reads the variables in the order of Istio's tool", () => {
    const gateEnv = (own: string, other: string) => ({ ISTIO_META_DNS_CAPTURE: own, REDIRECT_DNS: other });
    expect(dns({ inherited: [], gateEnv: gateEnv('false', 'true') }).kind).toBe('off');
    expect(dns({ inherited: [], gateEnv: gateEnv('true', 'false') }).kind).toBe('all');
    expect(dns({ inherited: [], gateEnv: { REDIRECT_DNS: 'false' }, proxyEnv: DNS_ON }).kind).toBe('off');
    expect(dns({ inherited: ['--redirect-dns=false'], gateEnv: gateEnv('true', 'true') }).kind).toBe('off');
  });

  it('is off where the pod has no server, as in Istio, and says why', () => {
    const { source } = policyOf({ inherited: ['--redirect-dns'], nameservers: [] }).dns;
    expect(source.raw).toBe('true, but the pod has no name server that is an address');
    expect(servers({ inherited: ['--redirect-dns'], nameservers: [] })).toBe('off');
    expect(servers({ inherited: ['--redirect-dns'], nameservers: ['dns.example'] })).toBe('off');
  });

  it('keeps at most 16 servers', () => {
    const nameservers = Array.from({ length: 99 }, (_, index) => `10.0.0.${index}`);
    expect(servers({ inherited: ['--redirect-dns'], nameservers })).toHaveLength(16);
    const twice = [...Array.from({ length: 20 }, () => '10.0.0.1'), '10.0.0.2'];
    expect(servers({ inherited: ['--redirect-dns'], nameservers: twice })).toEqual(['10.0.0.1/32', '10.0.0.2/32']);
  });
});

describe('other switches', () => {
  it('drop invalid packets by argument, else by variable', () => {
    expect(policyOf({}).dropInvalid.value).toBe(false);
    expect(policyOf({ proxyEnv: { INVALID_DROP: '1' } }).dropInvalid.value).toBe(true);
    const argument = policyOf({ inherited: ['--drop-invalid'], proxyEnv: { INVALID_DROP: '0' } }).dropInvalid;
    expect(argument).toEqual({ value: true, source: { kind: 'argument', key: '--drop-invalid', raw: 'true' } });
  });

  it('read owner groups by number', () => {
    expect(policyOf({}).ownerGroups.value).toEqual({ all: true });
    const proxyEnv = { ISTIO_OUTBOUND_OWNER_GROUPS: '7, 8', ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: '9' };
    expect(policyOf({ proxyEnv }).ownerGroups.value).toEqual({ all: false, items: [7, 8] });
    expect(policyOf({ proxyEnv }).excludeOwnerGroups.value).toEqual([9]);
  });

  it('read the mode the sidecar goes by where neither argument nor annotation says one', () => {
    const none = { ISTIO_META_INTERCEPTION_MODE: 'NONE' };
    expect(policyOf({ proxyEnv: none }).mode).toEqual({
      value: 'NONE',
      source: { kind: 'environment', key: 'ISTIO_META_INTERCEPTION_MODE', raw: 'NONE' },
    });
    expect(policyOf({ inherited: ['-m', 'TPROXY'], proxyEnv: none }).mode.value).toBe('TPROXY');
    expect(() => policyOf({ proxyEnv: { ISTIO_META_INTERCEPTION_MODE: 'SOME' } })).toThrow('REDIRECT, TPROXY or NONE');
  });

  it('read mark and route table of TPROXY', () => {
    const { mode, tproxyMark, tproxyRouteTable } = policyOf({ inherited: ['-m', 'TPROXY', '-t', '99', '-r', '200'] });
    expect([mode.value, tproxyMark.value, tproxyRouteTable.value]).toEqual(['TPROXY', 99, 200]);
    const unsaid = policyOf({ inherited: ['-t', '', '-r', ''] });
    expect([unsaid.tproxyMark.value, unsaid.tproxyRouteTable.value]).toEqual([1337, 133]);
  });
});
