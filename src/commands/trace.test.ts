import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredFor } from '../agent/desired.ts';
import { NO_DEFAULTS } from '../capture/policy.ts';
import { isControllerError } from '../errors.ts';
import { parsePod } from '../pod/parse-pod.ts';
import { simulate } from '../ruleset/simulate.ts';
import { packetFor, traceRequest } from './trace-packet.ts';
import { journeyText, type Traced } from './trace-text.ts';

interface Fields {
  readonly annotations?: Record<string, string>;
  readonly env?: readonly object[];
  readonly podIPs?: readonly string[];
  readonly appUid?: number;
}

function podWith({ annotations = {}, env = [], podIPs = [], appUid }: Fields) {
  return parsePod({
    metadata: { name: 'a', annotations: { 'istio-pod-network-controller/initialize': 'true', ...annotations } },
    spec: {
      containers: [
        { name: 'app', securityContext: { runAsUser: appUid } },
        { name: 'istio-proxy', env },
      ],
    },
    status: { phase: 'Pending', podIPs: podIPs.map((ip) => ({ ip })) },
  });
}

function trace(fields: Fields, from: string, to: string, given: Record<string, string> = {}): Traced {
  const pod = podWith(fields);
  const request = traceRequest(from, to, given);
  const namespace = { name: 'default', annotations: {}, labels: {} };
  const enrollment = { excludedNamespaces: [], enroll: 'annotated', sidecarName: 'istio-proxy' } as const;
  const desired = desiredFor(pod, namespace, { defaults: NO_DEFAULTS, enrollment });
  const known = { pod, source: 'Pod default/a', request, desired };
  if (desired.kind !== 'capture') return { ...known, journey: undefined };
  const packet = packetFor(pod, desired.policy, request);
  return { ...known, journey: { packet, ...simulate(desired.ruleset, packet) } };
}

function textOf(...asked: Parameters<typeof trace>): string {
  return journeyText(trace(...asked)).join('\n');
}

const refusal = (from: string, to: string, given: Record<string, string> = {}, fields: Fields = {}): string => {
  try {
    trace(fields, from, to, given);
    return 'none';
  } catch (error: unknown) {
    return isControllerError(error, 'Usage') ? error.message : 'another error';
  }
};

describe('the packet that is meant', () => {
  const packetOf = (...asked: Parameters<typeof trace>) => trace(...asked).journey?.packet;

  it('is of the application, of the proxy, or from outside', () => {
    expect(packetOf({}, 'app', 'tcp://10.0.0.5:443')).toMatchObject({
      direction: 'outbound',
      interface: 'eth0',
      owner: { uid: 1000, gid: 1000 },
    });
    expect(packetOf({ appUid: 4711 }, 'app', 'udp://10.0.0.5:53')).toMatchObject({
      protocol: 'udp',
      owner: { uid: 4711 },
    });
    expect(packetOf({}, 'proxy', 'tcp://[2001:DB8::5]:443')).toMatchObject({
      destination: { address: '2001:db8::5' },
      owner: { uid: 1337, gid: 1337 },
    });
    expect(packetOf({}, 'outside', 'tcp://pod6:80')).toMatchObject({
      direction: 'inbound',
      family: 6,
      owner: undefined,
    });
    expect(packetOf({}, 'app', 'tcp://10.0.0.5:1', { uid: '7', gid: '8', interface: 'net1' })).toMatchObject({
      owner: { uid: 7, gid: 8 },
      interface: 'net1',
    });
  });

  it('stays in the pod when it is to one of its own addresses', () => {
    const podIPs = ['198.51.100.7', '2001:db8::7'];
    for (const host of ['pod', 'pod6', 'localhost', '127.9.9.9', '[::1]', '198.51.100.7', '[2001:db8::7]']) {
      expect([host, packetOf({ podIPs }, 'app', `tcp://${host}:80`)?.interface]).toEqual([host, 'lo']);
    }
    expect(packetOf({ podIPs }, 'app', 'tcp://pod6:80')?.destination.address).toBe('2001:db8::7');
    expect(packetOf({ podIPs: ['2001:db8::7'] }, 'outside', 'tcp://pod:80')?.family).toBe(6);
  });

  it.each([
    ['app', 'http://10.0.0.5:80', {}, /--to.*tcp:\/\/ADDRESS:PORT/],
    ['app', 'tcp://10.0.0.5', {}, /--to/],
    ['app', 'tcp://10.0.0.5:0', {}, /--to/],
    ['app', 'tcp://10.0.0.5:65536', {}, /--to/],
    ['app', 'tcp://example.com:80', {}, /names are not looked up/],
    ['app', 'tcp://2001:db8::5:80', {}, /in brackets/],
    ['app', 'tcp://[10.0.0.5]:80', {}, /--to/],
    ['app', 'tcp://[::ffff:10.0.0.5]:80', {}, /--to/],
    ['app', 'tcp://[fe80::1%eth0]:80', {}, /--to/],
    ['outside', 'tcp://10.0.0.5:80', {}, /the pod itself with --from outside: tcp:\/\/pod:80/],
    ['outside', 'tcp://localhost:80', {}, /the pod itself/],
    ['outside', 'tcp://pod:80', { uid: '0' }, /--uid: "0".*none with --from outside/],
    ['outside', 'tcp://pod:80', { interface: 'lo' }, /any but lo/],
    ['app', 'tcp://pod:80', { gid: '4294967295' }, /from 0 to 4294967294/],
    ['app', 'tcp://pod:80', { interface: 'a b' }, /at most 15 characters/],
    ['nobody', 'tcp://pod:80', {}, /app, proxy or outside/],
  ] as const)('--from %s --to %s %j is refused by name', (from, to, given, message) => {
    expect(refusal(from, to, given)).toMatch(message);
  });

  it('or a usage error, whatever stands in --to', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(refusal('app', `tcp://${text}`)).not.toBe('another error');
      }),
    );
  });
});

describe('the text', () => {
  it('says where a packet comes back by lo', () => {
    const tproxy = { annotations: { 'sidecar.istio.io/interceptionMode': 'TPROXY' } };
    expect(textOf(tproxy, 'app', 'tcp://10.0.0.5:443')).toMatch(
      /redirect to :15001\n {2}it stays in the pod and comes back by lo:\n {2}prerouting_mangle 1/,
    );
    expect(textOf(tproxy, 'outside', 'tcp://pod:80')).toMatch(/\(inbound listener\), with source and destination as/);
  });

  it('says whose the DNS query is, and in which zone it stays', () => {
    const dns = { env: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }] };
    expect(textOf(dns, 'app', 'udp://10.96.0.10:53')).toMatch(
      /zone 2\n[^]*ends at: the proxy, port 15053 \(DNS server\)/,
    );
    expect(textOf(dns, 'proxy', 'udp://10.96.0.10:53')).toMatch(
      /zone 1\n[^]*: nothing, for it has a zone already\n[^]*let through/,
    );
    expect(textOf(dns, 'app', 'udp://10.96.0.10:54')).toContain('of UDP only DNS is captured');
  });

  it('warns of an application that runs under an id of the proxy', () => {
    expect(textOf({ appUid: 1337 }, 'app', 'tcp://10.0.0.5:443')).toMatch(
      /directly: it does not pass[^]*note: .*uids 1337/,
    );
  });

  it('says why there is nothing to show', () => {
    const none = { annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } };
    expect(textOf(none, 'app', 'tcp://10.0.0.5:443')).toMatch(
      /no rule applies to it: sidecar\.istio\.io\/interceptionMode is NONE: nothing is captured\n {2}ends at: 10\.0\.0\.5:443, directly/,
    );
    const out = { annotations: { 'istio-pod-network-controller/initialize': 'false' } };
    expect(textOf(out, 'app', 'tcp://10.0.0.5:443')).toMatch(
      /not captured: OptedOut[^]*every packet goes where it was sent/,
    );
    const wrong = { annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': 'x' } };
    expect(textOf(wrong, 'app', 'tcp://10.0.0.5:443')).toMatch(/InvalidCapturePolicy[^]*the gate stays shut/);
  });
});
