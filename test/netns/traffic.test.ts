import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import type { Actor } from '../support/netns-actor-client.ts';
import { createLab, EXCLUDED, type NetnsLab, POD_V4, POD_V6, SERVICE } from '../support/netns-lab.ts';
import { desiredOf, type PodSettings } from '../support/netns-policy.ts';

/** Real connections of real users, both families, under the rules of real policies: who ends where. */
let effects: NetnsEffects;
let lab: NetnsLab;
let app: Actor;
let proxy: Actor;
let proxyGroup: Actor;
let outside: Actor;

beforeAll(async () => {
  effects = await kernelEffects();
  lab = createLab();
  capture({});
  [app, proxy, proxyGroup, outside] = await Promise.all([
    lab.actor({ uid: 1000, gid: 1000 }),
    lab.actor({ uid: 1337, gid: 1337 }),
    lab.actor({ uid: 1000, gid: 1337 }),
    lab.actor({ uid: 0, gid: 0, where: 'outside' }),
  ]);
  await proxy.listen('proxy', [15001, 15006, 15090, 15008, 16001]);
  await app.listen('app', [22, 8080]);
  await outside.listen('outside', [80, 81, 9300, 15008]);
});
afterAll(() => lab.close());

function capture(settings: PodSettings) {
  const desired = desiredOf(settings);
  return captureNetns({ netnsPath: lab.pod.path, podIPs: [POD_V4], ...desired }, effects);
}

const families = [
  { family: 'IPv4', pod: POD_V4, service: SERVICE[4], excluded: EXCLUDED[4], loopback: '127.0.0.1' },
  { family: 'IPv6', pod: POD_V6, service: SERVICE[6], excluded: EXCLUDED[6], loopback: '::1' },
] as const;

const spelled = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

describe.each(families)('defaults and exclusions, $family', ({ pod, service, excluded, loopback }) => {
  beforeAll(() => {
    capture({
      annotations: {
        excludeInboundPorts: '22',
        excludeOutboundPorts: '9300',
        excludeOutboundIPRanges: '192.0.2.0/25,192.0.2.64/26,2001:db8:77::/48',
      },
    });
  });

  it('sends the application to the proxy, which learns where it meant to go', async () => {
    expect(await app.connect(service, 80)).toBe(`proxy:15001 ${spelled(service, 80)}`);
    expect(await app.connect(service, 15008)).toBe(`proxy:15001 ${spelled(service, 15008)}`);
  });

  it('lets the proxy out, known by uid or by gid', async () => {
    expect(await proxy.connect(service, 80)).toBe('outside:80 direct');
    expect(await proxyGroup.connect(service, 80)).toBe('outside:80 direct');
  });

  it('sends what the proxy says to its own pod through inbound again, but not the tunnel', async () => {
    expect(await proxy.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
    expect(await proxy.connect(pod, 15008)).toBe('proxy:15008 direct');
  });

  it('sends whoever comes from outside to the proxy', async () => {
    expect(await outside.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
    expect(await outside.connect(pod, 4711)).toBe(`proxy:15006 ${spelled(pod, 4711)}`);
  });

  it('leaves excluded ports alone, both ways', async () => {
    expect(await outside.connect(pod, 22)).toBe('app:22 direct');
    expect(await outside.connect(pod, 15090)).toBe('proxy:15090 direct');
    expect(await outside.connect(pod, 15008)).toBe('proxy:15008 direct');
    expect(await app.connect(service, 9300)).toBe('outside:9300 direct');
  });

  it('leaves excluded ranges alone', async () => {
    expect(await app.connect(excluded, 80)).toBe('outside:80 direct');
  });

  it('leaves loopback alone', async () => {
    expect(await app.connect(loopback, 8080)).toBe('app:8080 direct');
    expect(await app.connect(pod, 8080)).toBe('app:8080 direct');
    expect(await proxy.connect(loopback, 8080)).toBe('app:8080 direct');
  });
});

describe.each(families)('only what is included, $family', ({ pod, service, excluded }) => {
  beforeAll(() => {
    capture({
      annotations: {
        includeInboundPorts: '8080',
        includeOutboundIPRanges: '192.0.2.0/24,2001:db8:77::/48',
        includeOutboundPorts: '81',
      },
    });
  });

  it('by range', async () => {
    expect(await app.connect(excluded, 80)).toBe(`proxy:15001 ${spelled(excluded, 80)}`);
    expect(await app.connect(service, 80)).toBe('outside:80 direct');
  });

  it('by port', async () => {
    expect(await app.connect(service, 81)).toBe(`proxy:15001 ${spelled(service, 81)}`);
    expect(await outside.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
    expect(await outside.connect(pod, 22)).toBe('app:22 direct');
  });
});

describe('nothing', () => {
  it('is captured in mode NONE', async () => {
    expect(capture({ annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } }).action).toBe('applied');
    expect(await app.connect(SERVICE[4], 80)).toBe('outside:80 direct');
    expect(await app.connect(SERVICE[6], 80)).toBe('outside:80 direct');
    expect(await outside.connect(POD_V4, 8080)).toBe('app:8080 direct');
  });

  it('of IPv6 is captured where Istio would not', async () => {
    capture({ defaults: { ipv6: 'istio' } });
    expect(await app.connect(SERVICE[4], 80)).toBe('proxy:15001 203.0.113.5:80');
    expect(await app.connect(SERVICE[6], 80)).toBe('outside:80 direct');
    expect(await outside.connect(POD_V6, 8080)).toBe('app:8080 direct');
  });

  it('on an excluded interface is captured', async () => {
    capture({ annotations: { excludeInterfaces: 'eth0' } });
    expect(await app.connect(SERVICE[4], 80)).toBe('outside:80 direct');
    expect(await outside.connect(POD_V6, 8080)).toBe('app:8080 direct');
  });
});

it('a proof beside a busy proxy takes no connection of others for its own', async () => {
  // Few source ports, many of them in use towards the proxy: the kernel is bound to give a probe one of those.
  sourcePorts('40000 40127');
  try {
    capture({});
    for (let connection = 0; connection < 40; connection += 1) await app.connect(SERVICE[4], 80);
    for (let round = 0; round < 10; round += 1) {
      expect(capture({ annotations: { excludeInterfaces: `other${round}` } }).action).toBe('applied');
    }
  } finally {
    sourcePorts('32768 60999');
  }
});

function sourcePorts(range: string): void {
  const setting = `net.ipv4.ip_local_port_range=${range}`;
  execFileSync('ip', ['netns', 'exec', lab.pod.name, 'sysctl', '-qw', setting]);
}

it('another outbound port takes over at once', async () => {
  capture({ annotations: { 'pod-network-controller.istio.io/envoy-port': '16001' } });
  expect(await app.connect(SERVICE[6], 80)).toBe('proxy:16001 [2001:db8:2::5]:80');
});

describe('what the kernel gives back is what was written, for', () => {
  const settings: readonly (readonly [string, PodSettings])[] = [
    ['defaults', {}],
    [
      'interfaces',
      { annotations: { excludeInterfaces: 'eth1,net.2', 'istio.io/reroute-virtual-interfaces': 'br0,br-1' } },
    ],
    [
      'rerouted ranges',
      { annotations: { includeOutboundIPRanges: '10.0.0.0/8,fd00::/8', 'istio.io/reroute-virtual-interfaces': 'br0' } },
    ],
    ['loopback included', { annotations: { includeOutboundIPRanges: '127.0.0.0/8,10.0.0.0/8' } }],
    ['another loopback range', { proxyEnv: { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: '127.0.0.1/8' } }],
    ['nothing included', { annotations: { includeInboundPorts: '', includeOutboundIPRanges: '' } }],
    ['all but all', { annotations: { excludeOutboundIPRanges: '0.0.0.0/0,::/0' } }],
    ['IPv6 left to Istio', { defaults: { ipv6: 'istio' } }],
    ['strange IPv6', { annotations: { excludeOutboundIPRanges: '::102:304/128,2001:db8::/127,fe80::/10' } }],
    ['other owners', { annotations: { 'pod-network-controller.istio.io/envoy-userid': '4294967294' } }],
    ['a thousand ranges', { annotations: { excludeOutboundIPRanges: manyRanges() } }],
    ['mode NONE', { annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } }],
  ];
  it.each(settings)('%s', (_, one) => {
    expect(['applied', 'remarked']).toContain(capture(one).action);
    expect(capture(one).action).toBe('kept');
  });
});

function manyRanges(): string {
  return Array.from({ length: 1_000 }, (_, index) => `10.${index >> 8}.${index & 255}.128/25`).join(',');
}

it('the mark shows to any process of the pod, and to nobody outside', async () => {
  capture({});
  expect(await app.readAlias()).toBe(`istio-pod-network-controller v1 ready ${desiredOf({}).ruleset.policyHash}`);
  expect(await outside.readAlias()).toBe('');
});
