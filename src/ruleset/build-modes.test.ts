import { describe, expect, it } from 'vitest';
import { buildRuleset } from './build.ts';
import type { Match, Ruleset } from './ruleset.ts';
import { type PolicyValues, samplePolicy } from '../../test/support/sample-policy.ts';

const rulesOf = (values: Partial<PolicyValues>): Ruleset => buildRuleset(samplePolicy(values));

/** A chain as `reason → what is done`. */
function listed({ chains }: Ruleset, name: string): string[] {
  const found = chains.find((one) => one.name === name);
  return (found?.rules ?? []).map(({ reason, verdict: { kind, ...more } }) => {
    return `${reason.replace(/: default$/, '')} → ${[kind, ...Object.values(more)].join(' ')}`;
  });
}

function matches({ chains }: Ruleset): readonly Match[] {
  return chains.flatMap(({ rules }) => rules.flatMap((rule) => rule.matches));
}

describe('TPROXY', () => {
  const tproxy = rulesOf({ mode: 'TPROXY', dropInvalid: true, excludeInterfaces: ['net1'] });

  it('takes inbound traffic in mangle, after what is exempt, in the order of Istio', () => {
    expect(listed(tproxy, 'prerouting_mangle')).toEqual([
      'excluded interface → return',
      'belongs to no connection → drop',
      'inbound traffic → jump inbound',
      'connection of the proxy to the application → saveMark',
    ]);
    expect(listed(tproxy, 'inbound')).toEqual([
      'proxy to the application → return',
      'inbound passthrough of the proxy → return',
      'inbound passthrough of the proxy → return',
      'within the pod, not from the proxy → return',
      'excluded inbound ports → return',
      'every inbound port → jump divert',
      'every inbound port → jump tproxy_inbound',
    ]);
  });

  it('drops what the proxy does not take, in each family: it must not get past it', () => {
    expect(listed(tproxy, 'tproxy_inbound')).toEqual([
      'inbound port → tproxy 4 15006 1337',
      'nothing listens on the inbound port → drop',
      'inbound port → tproxy 6 15006 1337',
      'nothing listens on the inbound port → drop',
    ]);
  });

  it('marks what the proxy says to its own pod, and sends answers of the application back to the proxy', () => {
    expect(listed(tproxy, 'output_mangle')).toEqual([
      'excluded interface → return',
      'proxy to the application → return',
      'proxy uid to its own pod → setMark 1338',
      'proxy uid to its own pod → setMark 1338',
      'proxy gid to its own pod → setMark 1338',
      'proxy gid to its own pod → setMark 1338',
      'answer of the application → restoreMark',
    ]);
    expect(tproxy.chains.find(({ name }) => name === 'output_mangle')?.base?.type).toBe('route');
  });

  it('leaves nat prerouting to exempt interfaces, and delivers marked packets locally in both families', () => {
    expect(listed(tproxy, 'prerouting')).toEqual(['excluded interface → return']);
    expect(tproxy.routing.markedToLocal).toEqual({ mark: 1337, routeTable: 133, families: [4, 6] });
  });

  it('with a list of ports takes those, and nothing with an empty one', () => {
    const ports = rulesOf({ mode: 'TPROXY', inboundPorts: { all: false, items: [80] } });
    expect(listed(ports, 'inbound').slice(-2)).toEqual([
      'included inbound ports → jump divert',
      'included inbound ports → jump tproxy_inbound',
    ]);
    const none = rulesOf({ mode: 'TPROXY', inboundPorts: { all: false, items: [] } });
    expect(none.chains.map(({ base }) => base?.priority)).not.toContain(-150);
    expect(none.routing.markedToLocal).toBeUndefined();
  });
});

describe('DNS capture', () => {
  const all = rulesOf({ dns: { kind: 'all' }, excludeOutboundPorts: [9300] });

  it('redirects queries of both protocols, after the proxy has been let go and before loopback is', () => {
    const output = listed(all, 'output');
    const first = output.indexOf('captured DNS → jump redirect_dns');
    expect(output[first - 1]).toBe('proxy gid → return');
    expect(output.slice(first, first + 3)).toEqual([
      'captured DNS → jump redirect_dns',
      'captured DNS → jump redirect_dns',
      'loopback → return',
    ]);
    expect(listed(all, 'redirect_dns')).toEqual([
      'DNS port of the proxy → redirect 15053',
      'DNS port of the proxy → redirect 15053',
    ]);
  });

  it('keeps the connections of proxy and application apart', () => {
    expect(listed(all, 'output_raw')).toEqual([
      'DNS query of the proxy → zone 1',
      'DNS answer of the proxy → zone 2',
      'DNS query of the proxy → zone 1',
      'DNS answer of the proxy → zone 2',
      'DNS query of the application → zone 2',
    ]);
    expect(listed(all, 'prerouting_raw')).toEqual(['DNS answer to the proxy → zone 1']);
  });

  it('makes excluded ports count for UDP, too', () => {
    expect(listed(all, 'output').slice(0, 2)).toEqual([
      'excluded outbound ports → return',
      'excluded outbound ports → return',
    ]);
    expect(listed(rulesOf({ excludeOutboundPorts: [9300] }), 'output')[1]).not.toMatch(/excluded/);
  });

  it('asks for the servers of the pod where only those are captured', () => {
    const servers = rulesOf({
      dns: {
        kind: 'servers',
        servers: [
          { family: 4, address: '10.96.0.10', prefix: 32 },
          { family: 6, address: 'fd00::a', prefix: 128 },
        ],
      },
    });
    expect(listed(servers, 'output').filter((rule) => rule.startsWith('captured DNS'))).toHaveLength(4);
    expect(listed(servers, 'prerouting_raw')).toHaveLength(2);
    const queries = servers.chains.find(({ name }) => name === 'output_raw')?.rules.at(-1);
    expect(queries?.matches[0]).toMatchObject({ kind: 'destinationAddress', addresses: { address: 'fd00::a' } });
  });

  it('needs no rule where it is off', () => {
    expect(rulesOf({}).chains.map(({ name }) => name)).toEqual([
      'prerouting',
      'output',
      'inbound',
      'redirect_inbound',
      'redirect_outbound',
    ]);
  });
});

describe('other settings', () => {
  it('let excluded owner groups go, one by one, after the proxy', () => {
    const output = listed(rulesOf({ excludeOwnerGroups: [7, 8] }), 'output');
    const first = output.indexOf('excluded owner group → return');
    expect(output[first - 1]).toBe('proxy gid → return');
    expect(output[first + 1]).toBe('excluded owner group → return');
  });

  it('let go whoever is in none of the included owner groups, and then ask for no excluded one', () => {
    const rules = rulesOf({ ownerGroups: { all: false, items: [7, 8] }, excludeOwnerGroups: [9] });
    const found = rules.chains.flatMap((chain) => chain.rules).find(({ reason }) => reason.startsWith('in none'));
    expect(found?.matches).toEqual([
      { kind: 'socketGid', id: 7, negate: true },
      { kind: 'socketGid', id: 8, negate: true },
    ]);
    expect(listed(rules, 'output').join()).not.toContain('excluded owner group');
  });

  it('drop packets of no connection, in any mode', () => {
    expect(listed(rulesOf({ dropInvalid: true }), 'prerouting_mangle')).toEqual(['belongs to no connection → drop']);
  });

  it('give lo the address from which the proxy speaks IPv6 to the application', () => {
    expect(rulesOf({}).routing.loopbackAddresses).toEqual([{ family: 6, address: '::6', prefix: 128 }]);
    expect(rulesOf({ mode: 'NONE' }).routing.loopbackAddresses).toEqual([]);
  });

  it('leave IPv6 out of everything where it is not captured', () => {
    const rules = rulesOf({ mode: 'TPROXY', dns: { kind: 'all' }, ipv6: false });
    for (const chain of rules.chains.filter(({ base }) => base !== undefined)) {
      expect(chain.rules[0]?.matches).toEqual([{ kind: 'family', family: 6 }]);
    }
    expect(JSON.stringify(matches(rules))).not.toContain('::');
    expect(rules.routing).toEqual({
      loopbackAddresses: [],
      markedToLocal: { mark: 1337, routeTable: 133, families: [4] },
    });
  });
});
