import { spawn, spawnSync } from 'node:child_process';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadLibnftables } from '../../src/backend/nft/libnftables.ts';
import { renderNft } from '../../src/backend/nft/render.ts';
import { isControllerError } from '../../src/errors.ts';
import { enterNetns, type Netns, openNetns, warmThreadPool } from '../../src/netns/netns.ts';
import { runProbes } from '../../src/netns/probe.ts';
import { closeSocket, listenHere, type Protocol } from '../../src/netns/probe-socket.ts';
import { bringRouting } from '../../src/netns/routing.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import { planProbes } from '../../src/ruleset/probe-plan.ts';
import { type PolicyValues, samplePolicy } from '../support/sample-policy.ts';
import { createLab, insideNetns, type LabOptions, type NetnsLab } from '../support/netns-lab.ts';

/** What DNS capture, TPROXY and owner groups promise, proven live; and not proven where it does not hold. */
let lab: NetnsLab | undefined;
const held: number[] = [];

beforeAll(() => warmThreadPool());
afterEach(() => {
  for (const fd of held.splice(0)) closeSocket(fd);
  lab?.close();
  lab = undefined;
});

/** A pod with the rules of a policy. */
function podWith(values: Partial<PolicyValues>, options: LabOptions = {}) {
  lab = createLab(options);
  const { pod } = lab;
  const policy = samplePolicy(values);
  const ruleset = buildRuleset(policy);
  const inside = <T>(work: () => T): T => insideNetns(pod.path, work);
  inside(() => {
    bringRouting(ruleset.routing);
    loadLibnftables().withContext((context) => context.run(renderNft(ruleset)));
  });
  /** `outcome: sentence` of each probe. */
  const probe = (): string[] => {
    const results = inside(() => runProbes(planProbes(policy), { exemptInterfaces: policy.excludeInterfaces.value }));
    return results.map(({ outcome, detail }) => `${outcome}: ${detail}`);
  };
  /** Sockets of a proxy that answers nothing, as the kernel alone does for one that is busy. */
  const hold = (port: number, protocol: Protocol, transparent = false): void => {
    for (const family of [4, 6] as const) {
      const listener = inside(() => listenHere({ family, port, protocol, transparent }));
      if (listener.state === 'listening') held.push(listener.fd);
    }
  };
  return { pod, probe, hold };
}

const dropped = (what: string) =>
  `table inet drops {\n chain out {\n type filter hook output priority 0\n ${what} drop\n }\n}\n`;
const dns = { kind: 'all' } as const;

describe('DNS capture', () => {
  it('is proven over TCP and UDP, in both families', () => {
    expect(podWith({ dns, excludeOutboundPorts: [] }).probe()).toEqual([
      'proven: a connection to 127.0.0.1:4 did not reach port 15001 (traffic within the pod is left alone)',
      'proven: a connection to 192.0.2.1:4 reached port 15001 (outbound traffic is captured)',
      'proven: a connection to 192.0.2.1:53 reached port 15053 (DNS over TCP is captured)',
      'proven: a connection to [::1]:4 did not reach port 15001 (traffic within the pod is left alone)',
      'proven: a connection to [2001:db8::1]:4 reached port 15001 (outbound traffic is captured)',
      'proven: a connection to [2001:db8::1]:53 reached port 15053 (DNS over TCP is captured)',
      'proven: a DNS query to 192.0.2.1:53 over UDP reached port 15053 (DNS over UDP is captured)',
      'proven: a DNS query to [2001:db8::1]:53 over UDP reached port 15053 (DNS over UDP is captured)',
    ]);
  });

  it("of the pod's own name servers is proven with those", () => {
    const servers = [{ family: 4, address: '203.0.113.5', prefix: 32 }] as const;
    const results = podWith({ dns: { kind: 'servers', servers } }).probe();
    expect(results.filter((text) => text.includes('15053'))).toEqual([
      'proven: a connection to 203.0.113.5:53 reached port 15053 (DNS over TCP is captured)',
      'proven: a DNS query to 203.0.113.5:53 over UDP reached port 15053 (DNS over UDP is captured)',
    ]);
  });

  it.each(['listening', 'in use'])('that somebody undoes is found out, with the port %s', (state) => {
    const pod = podWith({ dns });
    if (state === 'in use') pod.hold(15_053, 'udp');
    pod.pod.nft(
      'table inet first {\n chain out {\n type nat hook output priority -150\n udp dport 53 redirect to :4\n }\n}\n',
    );
    expect(pod.probe().filter((text) => text.startsWith('failed'))).toEqual([
      'failed: a DNS query to 192.0.2.1:53 over UDP did not reach port 15053 (DNS over UDP is captured)',
      'failed: a DNS query to [2001:db8::1]:53 over UDP did not reach port 15053 (DNS over UDP is captured)',
    ]);
    pod.pod.nft('flush ruleset\n');
    expect(pod.probe().filter((text) => text.startsWith('failed'))).toHaveLength(6);
  });

  it('is proven beside the proxy, and a filter is found out', () => {
    const pod = podWith({ dns });
    pod.hold(15_001, 'tcp');
    pod.hold(15_053, 'tcp');
    pod.hold(15_053, 'udp');
    expect(pod.probe().filter((text) => !text.startsWith('proven'))).toEqual([]);
    pod.pod.nft(dropped('udp dport 15053'));
    expect(pod.probe().filter((text) => !text.startsWith('proven'))).toHaveLength(2);
  });
});

describe('TPROXY', () => {
  const proofs = [
    'a connection to 127.0.0.6:4 reached port 15006 (inbound traffic is captured)',
    'a connection to [::6]:4 reached port 15006 (inbound traffic is captured)',
    'a packet to 192.0.2.1 with mark 1337 is delivered to the pod itself (marked packets are delivered to the pod)',
    'a packet to 2001:db8::1 with mark 1337 is delivered to the pod itself (marked packets are delivered to the pod)',
  ];

  it('is proven with what comes in over lo, and by the routes', () => {
    const results = podWith({ mode: 'TPROXY', dns, dropInvalid: true }).probe();
    expect(results.filter((text) => !text.startsWith('proven'))).toEqual([]);
    expect(results).toEqual(
      expect.arrayContaining(proofs.map((text) => `proven: ${text.replace('2001:db8::1 ', '[2001:db8::1] ')}`)),
    );
  });

  it('is proven beside the proxy', () => {
    const pod = podWith({ mode: 'TPROXY', dns });
    pod.hold(15_006, 'tcp', true);
    expect(pod.probe().filter((text) => !text.startsWith('proven'))).toEqual([]);
  });

  it('with a list of ports is proven with one of them', () => {
    const results = podWith({ mode: 'TPROXY', inboundPorts: { all: false, items: [9080] } }).probe();
    expect(results).toContain(
      'proven: a connection to 127.0.0.6:9080 reached port 15006 (inbound traffic is captured)',
    );
  });

  it('is not proven without its rules, its rule or its route', () => {
    const pod = podWith({ mode: 'TPROXY' });
    const failed = () => pod.probe().filter((text) => text.startsWith('failed'));
    pod.pod.run('ip', 'rule', 'del', 'fwmark', '1337');
    pod.pod.run('ip', '-6', 'route', 'flush', 'table', '133');
    expect(failed()).toEqual([
      expect.stringMatching(/192\.0\.2\.1 with mark 1337 is not delivered to the pod itself/),
      expect.stringMatching(/2001:db8::1\] with mark 1337 is not delivered to the pod itself/),
    ]);
    pod.pod.nft('flush chain inet istio_pod_network_controller tproxy_inbound\n');
    expect(failed()).toHaveLength(4);
  });

  it('needs none of it where IPv6 is switched off', () => {
    const pod = podWith({ mode: 'TPROXY', dns }, { ipv6: false });
    pod.pod.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
    expect(pod.probe().filter((text) => text.startsWith('failed'))).toEqual([]);
  });
});

describe('a sender that the policy exempts', () => {
  const exempt = 'shows nothing: the probe';
  it.each<readonly [string, Partial<PolicyValues>]>([
    ['by the owner groups it names', { ownerGroups: { all: false, items: [4000] } }],
    ['by an excluded owner group', { excludeOwnerGroups: [0] }],
    ['as the proxy itself', { proxyUids: [0] }],
  ])('%s', (_, values) => {
    const results = podWith({ dns, ...values }).probe();
    expect(results.filter((text) => text.startsWith('failed'))).toEqual([]);
    expect(results.filter((text) => text.includes(exempt))).toHaveLength(6);
  });

  it('but not one of the groups that are captured', () => {
    const results = podWith({ dns, ownerGroups: { all: false, items: [0, 4000] }, excludeOwnerGroups: [0] }).probe();
    expect(results.filter((text) => !text.startsWith('proven'))).toEqual([]);
  });
});

/** As in a pod with `hostUsers: false`: rules see owners as the netns's own user namespace does, and root of the host is nobody there. */
describe('in a netns of another user namespace', () => {
  const NOBODY = 65_534;
  it.each<readonly [string, Partial<PolicyValues>, string]>([
    ['captures nobody', { ownerGroups: { all: false, items: [NOBODY] } }, 'proven'],
    ['captures root', { ownerGroups: { all: false, items: [0] } }, 'unroutable'],
    ['takes nobody for the proxy', { proxyUids: [NOBODY] }, 'unroutable'],
    ['takes root for the proxy', { proxyUids: [0], proxyGids: [0] }, 'proven'],
    ['names nobody', {}, 'proven'],
  ])('whose policy %s', (_, values, outcome) => {
    const policy = samplePolicy({ dns, excludeOutboundPorts: [], ...values });
    const holder = spawn('unshare', ['--user', '--net', 'sleep', '60']);
    try {
      const netns = openWhenUnshared(holder.pid ?? 0);
      spawnSync('nsenter', [`--net=${netns.path}`, 'ip', 'link', 'set', 'lo', 'up']);
      spawnSync('nsenter', [`--net=${netns.path}`, 'ip', '-batch', '-'], { input: ROUTES.join('\n') });
      const results = enterNetns(netns, () => {
        const ruleset = buildRuleset(policy);
        bringRouting(ruleset.routing);
        loadLibnftables().withContext((context) => context.run(renderNft(ruleset)));
        return runProbes(planProbes(policy), { exemptInterfaces: [] });
      });
      netns.close();
      const captured = results.filter(({ detail }) => detail.includes('captured'));
      expect(captured.map((one) => one.outcome)).toEqual(Array.from({ length: 6 }, () => outcome));
    } finally {
      holder.kill('SIGKILL');
    }
  });
});

/** Routes for both families into a device whose other end answers nothing. */
const ROUTES = [
  'link add eth0 type veth peer name peer0',
  'link set peer0 up',
  'link set eth0 up',
  'address add 198.51.100.2/24 dev eth0',
  'address add 2001:db8:1::2/64 dev eth0 nodad',
  'route add default dev eth0',
  'route add ::/0 dev eth0',
];

/** Until the child has left our netns, its path leads to ours, which is refused. */
function openWhenUnshared(pid: number): Netns {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    try {
      return openNetns(`/proc/${pid}/ns/net`);
    } catch (error: unknown) {
      if (!isControllerError(error, 'NetnsIsHost') || performance.now() > deadlineMs) throw error;
    }
  }
}
