import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaptureOutcome, type CaptureRequest, captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import type { BackendName } from '../../src/backend/backend.ts';
import type { Actor } from './netns-actor-client.ts';
import { createLab, EXCLUDED, type NetnsLab, POD_V4, POD_V6, SERVICE } from './netns-lab.ts';
import { desiredOf, type PodSettings } from './netns-policy.ts';

/** A pod with its processes, under rules that a test chooses. Filled before the first test runs. */
export interface TrafficScene {
  readonly effects: NetnsEffects;
  readonly lab: NetnsLab;
  readonly app: Actor;
  readonly proxy: Actor;
  readonly proxyGroup: Actor;
  readonly outside: Actor;
}

/** Makes a scene for the tests of the enclosing block; its members may only be read inside tests and hooks. */
export function trafficScene(backend: BackendName): {
  readonly scene: () => TrafficScene;
  readonly capture: (settings: PodSettings, change?: Partial<CaptureRequest>) => CaptureOutcome;
} {
  let made: TrafficScene | undefined;
  const scene = (): TrafficScene => {
    if (made === undefined) throw new Error('the scene is only there while tests run');
    return made;
  };
  const capture = (settings: PodSettings, change: Partial<CaptureRequest> = {}): CaptureOutcome => {
    const { lab, effects } = scene();
    return captureNetns({ netnsPath: lab.pod.path, podIPs: [POD_V4], ...desiredOf(settings), ...change }, effects);
  };
  beforeAll(async () => {
    const effects = await kernelEffects({ backend });
    const lab = createLab();
    const [app, proxy, proxyGroup, outside] = await Promise.all([
      lab.actor({ uid: 1000, gid: 1000 }),
      lab.actor({ uid: 1337, gid: 1337 }),
      lab.actor({ uid: 1000, gid: 1337 }),
      lab.actor({ uid: 0, gid: 0, where: 'outside' }),
    ]);
    made = { effects, lab, app, proxy, proxyGroup, outside };
    expect(capture({}).backend).toBe(backend);
    await proxy.listen('proxy', [15001, 15006, 15053, 15090, 15008, 16001]);
    await app.listen('app', [22, 8080]);
    await outside.listen('outside', [53, 80, 81, 9300, 15008]);
  });
  afterAll(() => made?.lab.close());
  return { scene, capture };
}

const families = [
  { family: 'IPv4', pod: POD_V4, service: SERVICE[4], excluded: EXCLUDED[4], loopback: '127.0.0.1' },
  { family: 'IPv6', pod: POD_V6, service: SERVICE[6], excluded: EXCLUDED[6], loopback: '::1' },
] as const;

const spelled = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** Real connections of real users, both families, under the rules of real policies: who ends where. */
export function trafficTable(backend: BackendName): void {
  const { scene, capture } = trafficScene(backend);

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
      expect(await scene().app.connect(service, 80)).toBe(`proxy:15001 ${spelled(service, 80)}`);
      expect(await scene().app.connect(service, 15008)).toBe(`proxy:15001 ${spelled(service, 15008)}`);
    });

    it('lets the proxy out, known by uid or by gid', async () => {
      expect(await scene().proxy.connect(service, 80)).toBe('outside:80 direct');
      expect(await scene().proxyGroup.connect(service, 80)).toBe('outside:80 direct');
    });

    it('sends what the proxy says to its own pod through inbound again, but not the tunnel', async () => {
      expect(await scene().proxy.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
      expect(await scene().proxy.connect(pod, 15008)).toBe('proxy:15008 direct');
    });

    it('sends whoever comes from outside to the proxy', async () => {
      expect(await scene().outside.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
      expect(await scene().outside.connect(pod, 4711)).toBe(`proxy:15006 ${spelled(pod, 4711)}`);
    });

    it('leaves excluded ports alone, both ways', async () => {
      expect(await scene().outside.connect(pod, 22)).toBe('app:22 direct');
      expect(await scene().outside.connect(pod, 15090)).toBe('proxy:15090 direct');
      expect(await scene().outside.connect(pod, 15008)).toBe('proxy:15008 direct');
      expect(await scene().app.connect(service, 9300)).toBe('outside:9300 direct');
    });

    it('leaves excluded ranges alone', async () => {
      expect(await scene().app.connect(excluded, 80)).toBe('outside:80 direct');
    });

    it('leaves loopback alone', async () => {
      expect(await scene().app.connect(loopback, 8080)).toBe('app:8080 direct');
      expect(await scene().app.connect(pod, 8080)).toBe('app:8080 direct');
      expect(await scene().proxy.connect(loopback, 8080)).toBe('app:8080 direct');
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
      expect(await scene().app.connect(excluded, 80)).toBe(`proxy:15001 ${spelled(excluded, 80)}`);
      expect(await scene().app.connect(service, 80)).toBe('outside:80 direct');
    });

    it('by port', async () => {
      expect(await scene().app.connect(service, 81)).toBe(`proxy:15001 ${spelled(service, 81)}`);
      expect(await scene().outside.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
      expect(await scene().outside.connect(pod, 22)).toBe('app:22 direct');
    });
  });

  describe('nothing', () => {
    it('is captured in mode NONE', async () => {
      expect(capture({ annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } }).action).toBe('applied');
      expect(await scene().app.connect(SERVICE[4], 80)).toBe('outside:80 direct');
      expect(await scene().app.connect(SERVICE[6], 80)).toBe('outside:80 direct');
      expect(await scene().outside.connect(POD_V4, 8080)).toBe('app:8080 direct');
    });

    it('of IPv6 is captured where Istio would not', async () => {
      capture({ defaults: { ipv6: 'istio' } });
      expect(await scene().app.connect(SERVICE[4], 80)).toBe('proxy:15001 203.0.113.5:80');
      expect(await scene().app.connect(SERVICE[6], 80)).toBe('outside:80 direct');
      expect(await scene().outside.connect(POD_V6, 8080)).toBe('app:8080 direct');
    });

    it('on an excluded interface is captured', async () => {
      capture({ annotations: { excludeInterfaces: 'eth0' } });
      expect(await scene().app.connect(SERVICE[4], 80)).toBe('outside:80 direct');
      expect(await scene().outside.connect(POD_V6, 8080)).toBe('app:8080 direct');
    });
  });

  it('DNS goes to the proxy where it is captured', async () => {
    capture({ proxyEnv: { ISTIO_META_DNS_CAPTURE: 'true' } });
    expect(await scene().app.connect(SERVICE[4], 53)).toBe('proxy:15053 203.0.113.5:53');
    expect(await scene().app.connect(SERVICE[6], 53)).toBe('proxy:15053 [2001:db8:2::5]:53');
    expect(await scene().proxy.connect(SERVICE[4], 53)).toBe('outside:53 direct');
  });

  it('another outbound port takes over at once', async () => {
    capture({ annotations: { 'pod-network-controller.istio.io/envoy-port': '16001' } });
    expect(await scene().app.connect(SERVICE[6], 80)).toBe('proxy:16001 [2001:db8:2::5]:80');
  });

  describe('what the kernel gives back is what was written, for', () => {
    it.each(SETTINGS)('%s', (_, one) => {
      // Without a proof: the proxy here has no transparent listener, so that TPROXY would rightly be found broken.
      expect(['applied', 'remarked']).toContain(capture(one, { probes: [] }).action);
      expect(capture(one)).toMatchObject({ action: 'kept', drift: [], backend });
    });
  });
}

/** One of everything that changes rules. */
export const SETTINGS: readonly (readonly [string, PodSettings])[] = [
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
  ['DNS', { proxyEnv: { ISTIO_META_DNS_CAPTURE: 'true' } }],
  ['DNS, and ports', { proxyEnv: { ISTIO_META_DNS_CAPTURE: 'true' }, annotations: { excludeOutboundPorts: '1,2,53' } }],
  ['invalid packets dropped', { proxyEnv: { INVALID_DROP: 'true' } }],
  ['TPROXY', { annotations: { 'sidecar.istio.io/interceptionMode': 'TPROXY' } }],
  [
    'TPROXY for some',
    {
      annotations: {
        'sidecar.istio.io/interceptionMode': 'TPROXY',
        includeInboundPorts: manyPorts(),
        excludeInterfaces: 'eth1',
      },
      proxyEnv: { ISTIO_META_DNS_CAPTURE: 'true', INVALID_DROP: 'true' },
    },
  ],
  ['many ports', { annotations: { excludeInboundPorts: manyPorts(), excludeOutboundPorts: manyPorts() } }],
];

function manyRanges(): string {
  return Array.from({ length: 1_000 }, (_, index) => `10.${index >> 8}.${index & 255}.128/25`).join(',');
}

function manyPorts(): string {
  return Array.from({ length: 64 }, (_, index) => 2_000 + 3 * index).join(',');
}
