import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { warmThreadPool } from '../../src/netns/netns.ts';
import { bringRouting, cleanRouting, inspectRouting } from '../../src/netns/routing.ts';
import { NO_ROUTING, type Routing } from '../../src/ruleset/ruleset.ts';
import { createLab, insideNetns, type LabOptions, type NetnsLab } from '../support/netns-lab.ts';

/** Addresses, routes and rules of a policy, against the kernel and in the words of `ip`. */
let lab: NetnsLab | undefined;

beforeAll(() => warmThreadPool());
afterEach(() => lab?.close());

const PASSTHROUGH: Routing['loopbackAddresses'] = [{ family: 6, address: '::6', prefix: 128 }];

function tproxy(change: { readonly mark?: number; readonly routeTable?: number } = {}): Routing {
  return {
    loopbackAddresses: PASSTHROUGH,
    markedToLocal: { mark: 1337, routeTable: 133, families: [4, 6], ...change },
  };
}

const STATE = [['rule'], ['route', 'show', 'table', 'all'], ['address', 'show', 'dev', 'lo']];

/** What stands in the pod, without what the kernel and the lab put there. */
function created(options?: LabOptions) {
  lab = createLab(options);
  const { pod } = lab;
  const inside = <T>(work: () => T): T => insideNetns(pod.path, work);
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim().replaceAll(/\s+/g, ' '))
      .filter(Boolean);
  return {
    pod,
    bring: (routing: Routing) => inside(() => bringRouting(routing).changed),
    drift: (routing: Routing) => inside(() => inspectRouting(routing)),
    clean: () => inside(cleanRouting),
    rules: (family: '-4' | '-6') => lines(pod.run('ip', family, 'rule')).filter((line) => line.includes('fwmark')),
    routes: (family: '-4' | '-6', table: number) =>
      lines(pod.run('ip', family, 'route', 'show', 'table', String(table))),
    addresses: () =>
      lines(pod.run('ip', '-6', 'address', 'show', 'dev', 'lo')).filter((line) => line.startsWith('inet6')),
    state: () => STATE.flatMap((words) => ['-4', '-6'].map((family) => pod.run('ip', family, ...words))),
  };
}

describe('what TPROXY needs', () => {
  it('is made once, in both families, and known as ours', () => {
    const netns = created();
    const before = netns.state();
    expect(netns.drift(tproxy())).toHaveLength(5);
    expect(netns.bring(tproxy())).toBe(true);
    expect(netns.rules('-4')).toEqual(['32765: from all fwmark 0x539 lookup 133 proto 163']);
    expect(netns.rules('-6')).toEqual(['32765: from all fwmark 0x539 lookup 133 proto 163']);
    expect(netns.routes('-4', 133)).toEqual([expect.stringMatching(/^local default dev lo proto 163 scope host$/)]);
    expect(netns.routes('-6', 133)).toEqual([expect.stringMatching(/^local default dev lo proto 163 /)]);
    expect(netns.addresses()).toContainEqual(expect.stringMatching(/^inet6 ::6\/128 /));
    expect(netns.drift(tproxy())).toEqual([]);
    const brought = netns.state();
    expect(netns.bring(tproxy())).toBe(false);
    expect(netns.state()).toEqual(brought);
    expect(netns.clean()).toBe(true);
    expect(netns.state()).toEqual(before);
    expect(netns.clean()).toBe(false);
  });

  it('takes marks and tables beyond one byte', () => {
    const netns = created();
    const large = tproxy({ mark: 0xfedc_ba98, routeTable: 70_000 });
    netns.bring(large);
    expect(netns.rules('-6')).toEqual(['32765: from all fwmark 0xfedcba98 lookup 70000 proto 163']);
    expect(netns.routes('-4', 70_000)).toHaveLength(1);
    expect(netns.drift(large)).toEqual([]);
    expect(netns.clean()).toBe(true);
    expect(netns.routes('-4', 70_000)).toEqual([]);
  });

  it('gives way to another mark and table, and to a policy without', () => {
    const netns = created();
    netns.bring(tproxy());
    expect(
      netns
        .drift(tproxy({ mark: 7, routeTable: 8 }))
        .map(({ where, expected, found }) => `${where}: ${expected} | ${found}`),
    ).toEqual([
      'route: IPv4 route local default dev lo table 8 | absent',
      'route: IPv6 route local default dev lo table 8 | absent',
      'rule: IPv4 rule fwmark 0x7 lookup 8 | absent',
      'rule: IPv6 rule fwmark 0x7 lookup 8 | absent',
      'rule: absent | IPv6 rule fwmark 0x539 lookup 133',
      'rule: absent | IPv4 rule fwmark 0x539 lookup 133',
      'route: absent | IPv6 route local default dev lo table 133',
      'route: absent | IPv4 route local default dev lo table 133',
    ]);
    expect(netns.bring(tproxy({ mark: 7, routeTable: 8 }))).toBe(true);
    expect(netns.rules('-4')).toEqual([expect.stringContaining('fwmark 0x7 lookup 8 proto 163')]);
    expect(netns.routes('-4', 133)).toEqual([]);
    expect(netns.bring({ loopbackAddresses: PASSTHROUGH, markedToLocal: undefined })).toBe(true);
    expect(netns.rules('-6')).toEqual([]);
    expect(netns.routes('-6', 8)).toEqual([]);
    expect(netns.addresses()).toHaveLength(2);
  });
});

it('leaves alone what somebody else made, equal or not', () => {
  const netns = created();
  for (const family of ['-4', '-6']) {
    netns.pod.run('ip', family, 'rule', 'add', 'fwmark', '1337', 'lookup', '133');
    netns.pod.run('ip', family, 'rule', 'add', 'fwmark', '9', 'lookup', '133', 'proto', '164');
    netns.pod.run('ip', family, 'route', 'add', 'local', 'default', 'dev', 'lo', 'table', '99');
  }
  netns.pod.run('ip', '-6', 'address', 'add', '::6/128', 'dev', 'lo');
  const before = netns.state();
  expect(netns.bring(tproxy())).toBe(true);
  // Ours beside theirs: theirs may go any moment.
  expect(netns.rules('-4')).toHaveLength(3);
  expect(netns.bring(tproxy())).toBe(false);
  expect(netns.drift(tproxy())).toEqual([]);
  expect(netns.clean()).toBe(true);
  expect(netns.state()).toEqual(before);
});

it('takes away what was doubled, and repairs what was taken away', () => {
  const netns = created();
  netns.bring(tproxy());
  netns.pod.run('ip', 'rule', 'add', 'pref', '100', 'fwmark', '1337', 'lookup', '133', 'proto', '163');
  expect(netns.drift(tproxy())).toHaveLength(1);
  netns.bring(tproxy());
  expect(netns.rules('-4')).toHaveLength(1);
  netns.pod.run('ip', '-6', 'rule', 'del', 'fwmark', '1337');
  netns.pod.run('ip', '-6', 'address', 'del', '::6/128', 'dev', 'lo');
  netns.pod.run('ip', 'route', 'flush', 'table', '133');
  expect(netns.drift(tproxy())).toHaveLength(3);
  expect(netns.bring(tproxy())).toBe(true);
  expect(netns.drift(tproxy())).toEqual([]);
});

describe('where IPv6 is switched off', () => {
  it.each(['all', 'lo'])('net.ipv6.conf.%s: IPv4 is brought, nothing is amiss', (device) => {
    const netns = created({ ipv6: false });
    netns.pod.run('sysctl', '-qw', `net.ipv6.conf.${device}.disable_ipv6=1`);
    expect(netns.bring(tproxy())).toBe(true);
    expect(netns.rules('-4')).toHaveLength(1);
    expect(netns.routes('-4', 133)).toHaveLength(1);
    expect(netns.drift(tproxy())).toEqual([]);
    expect(netns.bring(tproxy())).toBe(false);
    expect(netns.clean()).toBe(true);
    expect(netns.clean()).toBe(false);
  });
});

it('says when lo is down', () => {
  const netns = created({ loopbackUp: false, ipv6: false });
  expect(() => netns.bring(tproxy())).toThrow(
    expect.objectContaining({ code: 'RoutingFailed', message: expect.stringMatching(/^lo is not up/) }),
  );
});

it('a policy that needs nothing finds nothing to do', () => {
  const netns = created();
  expect(netns.bring(NO_ROUTING)).toBe(false);
  expect(netns.drift(NO_ROUTING)).toEqual([]);
});
