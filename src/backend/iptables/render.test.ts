import { describe, expect, it } from 'vitest';
import {
  type AddressTarget,
  type Chain,
  type Match,
  NO_ROUTING,
  type Rule,
  type Ruleset,
  type RuleSetDefinition,
  TABLE,
  type Verdict,
} from '../../ruleset/ruleset.ts';
import { compareIptables } from './compare.ts';
import { renderChange, renderIptables, renderReturn } from './render.ts';
import { holdsOurs, parseSaved, savedPolicyHash } from './saved-rules.ts';
import { iptablesTables } from './tables.ts';

const TCP: Match = { kind: 'protocol', protocol: 'tcp' };
const policyHash = '0123456789abcdef';

function rule(matches: readonly Match[], verdict: Verdict, reason = 'why'): Rule {
  return { matches, verdict, reason };
}

function chain(name: string, base: Chain['base'], ...rules: readonly Rule[]): Chain {
  return { name, base, rules };
}

function ruleset(chains: readonly Chain[], sets: readonly RuleSetDefinition[] = []): Ruleset {
  return { table: TABLE, policyHash, sets, chains, routing: NO_ROUTING };
}

const NAT_OUTPUT = { type: 'nat', hook: 'output', priority: -100 } as const;
const MANGLE_PREROUTING = { type: 'filter', hook: 'prerouting', priority: -150 } as const;
const RAW_OUTPUT = { type: 'filter', hook: 'output', priority: -300 } as const;

/** The rules that one rule of the ruleset becomes. */
function specs(family: 4 | 6, matches: readonly Match[], verdict: Verdict, sets: readonly RuleSetDefinition[] = []) {
  const [table] = iptablesTables(ruleset([chain('output', NAT_OUTPUT, rule(matches, verdict))], sets), family);
  return table?.chains.find(({ name }) => name === 'IPNC_output')?.rules;
}

const port = (ports: { readonly port: number } | { readonly set: string }, negate = false): Match => ({
  kind: 'destinationPort',
  protocol: 'tcp',
  ports,
  negate,
});
const to = (addresses: AddressTarget, negate = false): Match => ({ kind: 'destinationAddress', addresses, negate });
const why = '-m comment --comment "why"';
const RETURN: Verdict = { kind: 'return' };

describe('a whole ruleset', () => {
  const whole = ruleset([
    chain(
      'output_raw',
      RAW_OUTPUT,
      rule([{ ...port({ port: 53 }), protocol: 'udp' } as Match], { kind: 'zone', zone: 2 }),
    ),
    chain('prerouting_mangle', MANGLE_PREROUTING, rule([TCP], { kind: 'jump', chain: 'tproxy_inbound' })),
    chain('output', NAT_OUTPUT, rule([TCP], { kind: 'jump', chain: 'redirect_outbound' })),
    chain('tproxy_inbound', undefined, rule([TCP], { kind: 'tproxy', family: 6, port: 15006, mark: 1337 })),
    chain('redirect_outbound', undefined, rule([TCP], { kind: 'redirect', port: 15001 })),
  ]);

  it('is one input a family, a commit a table, TPROXY before nat', () => {
    expect(renderIptables(whole)[6]).toBe(`*raw
:IPNC_output_raw - [0:0]
-A IPNC_output_raw -p udp -m udp --dport 53 ${why} -j CT --zone 2
-I OUTPUT 1 -m comment --comment "istio-pod-network-controller" -j IPNC_output_raw
COMMIT
*mangle
:IPNC_prerouting_mangle - [0:0]
:IPNC_tproxy_inbound - [0:0]
-A IPNC_prerouting_mangle -p tcp ${why} -j IPNC_tproxy_inbound
-A IPNC_tproxy_inbound -p tcp ${why} -j TPROXY --on-port 15006 --on-ip :: --tproxy-mark 0x539/0xffffffff
-I PREROUTING 1 -m comment --comment "istio-pod-network-controller" -j IPNC_prerouting_mangle
COMMIT
*nat
:IPNC_policy - [0:0]
:IPNC_output - [0:0]
:IPNC_redirect_outbound - [0:0]
-A IPNC_policy -m comment --comment "policy 0123456789abcdef" -j RETURN
-A IPNC_output -p tcp ${why} -j IPNC_redirect_outbound
-A IPNC_redirect_outbound -p tcp ${why} -j REDIRECT --to-ports 15001
-I OUTPUT 1 -m comment --comment "istio-pod-network-controller" -j IPNC_output
COMMIT
`);
    expect(renderIptables(whole)[4]).not.toContain('TPROXY');
  });

  it('without TPROXY nat comes first; tables that only lose ours come last', () => {
    const redirect = ruleset(whole.chains.filter(({ base }) => base?.type !== 'filter'));
    const saved = parseSaved(renderIptables(whole)[6]);
    const tables = renderChange(iptablesTables(redirect, 6), saved).match(/^\*.*/gm);
    expect(tables).toEqual(['*nat', '*mangle', '*raw']);
  });

  it('without chains is a marker where it brings no conntrack', () => {
    expect(renderIptables(ruleset([]))[4]).toBe(
      '*raw\n:IPNC_policy - [0:0]\n-A IPNC_policy -m comment --comment "policy 0123456789abcdef" -j RETURN\nCOMMIT\n',
    );
  });

  it('a jump to nowhere, a hook without a table and a name too long are bugs, and are told', () => {
    const jump = chain('output', NAT_OUTPUT, rule([], { kind: 'jump', chain: 'nowhere' }));
    const nowhere = chain('output', { ...NAT_OUTPUT, priority: 7 });
    const long = chain('a'.repeat(24), NAT_OUTPUT);
    for (const one of [jump, nowhere, long]) {
      expect(() => renderIptables(ruleset([one]))).toThrow(expect.objectContaining({ code: 'Internal' }));
    }
  });
});

describe('a rule', () => {
  it('stands in the order in which iptables-save prints it', () => {
    const matches: readonly Match[] = [
      { kind: 'socketUid', id: 1337, negate: true },
      { kind: 'outputInterface', name: 'lo', negate: false },
      port({ port: 15008 }, true),
      to({ family: 4, address: '127.0.0.1', prefix: 32 }, true),
      { kind: 'connectionState', states: ['established', 'related'] },
      { kind: 'packetMark', mark: 1338, negate: true },
      { kind: 'connectionMark', mark: 1337, negate: false },
    ];
    expect(specs(4, matches, RETURN)).toEqual([
      `! -d 127.0.0.1/32 -o lo -p tcp -m owner ! --uid-owner 1337 -m tcp ! --dport 15008 -m conntrack --ctstate RELATED,ESTABLISHED -m mark ! --mark 0x53a -m connmark --mark 0x539 ${why} -j RETURN`,
    ]);
    expect(specs(6, matches, RETURN)).toEqual([]);
  });

  it.each([
    [{ kind: 'setMark', mark: 1337 }, 'MARK --set-xmark 0x539/0xffffffff'],
    [{ kind: 'saveMark' }, 'CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff'],
    [{ kind: 'restoreMark' }, 'CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff'],
    [{ kind: 'drop' }, 'DROP'],
    [{ kind: 'accept' }, 'ACCEPT'],
  ] as const)('with verdict %o', (verdict, text) => {
    expect(specs(4, [], verdict)).toEqual([`${why} -j ${text}`]);
  });

  it('with a family stands in that family only', () => {
    expect(specs(4, [{ kind: 'family', family: 6 }], RETURN)).toEqual([]);
    expect(specs(6, [{ kind: 'family', family: 6 }], RETURN)).toEqual([`${why} -j RETURN`]);
  });

  it('with a list of ports becomes one rule for each 15, or one of all that it is not', () => {
    const elements = Array.from({ length: 17 }, (_, index) => 100 - index);
    const sets: readonly RuleSetDefinition[] = [{ name: 'p', type: 'port', elements: [...elements, 100] }];
    const first = '84,85,86,87,88,89,90,91,92,93,94,95,96,97,98';
    expect(specs(4, [port({ set: 'p' })], RETURN, sets)).toEqual([
      `-p tcp -m multiport --dports ${first} ${why} -j RETURN`,
      `-p tcp -m multiport --dports 99,100 ${why} -j RETURN`,
    ]);
    expect(specs(4, [port({ set: 'p' }, true)], RETURN, sets)).toEqual([
      `-p tcp -m multiport ! --dports ${first} -m multiport ! --dports 99,100 ${why} -j RETURN`,
    ]);
  });

  it('with a list of ranges becomes one rule for each prefix, merged; an empty list matches nothing', () => {
    const ranges = ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.2.7/32', '192.0.2.1/32'].map((text) => {
      const [address = '', prefix] = text.split('/');
      return { address, prefix: Number(prefix) };
    });
    const list = (elements: typeof ranges): readonly RuleSetDefinition[] => [{ name: 'r', type: 'ipv4', elements }];
    const target: Match = to({ family: 4, set: 'r' });
    expect(specs(4, [target], RETURN, list(ranges))?.map((spec) => spec.split(' ')[1])).toEqual([
      '10.0.0.0/23',
      '10.0.2.0/24',
      '192.0.2.1/32',
    ]);
    expect(specs(4, [target], RETURN, list([]))).toEqual([]);
    expect(specs(4, [target], RETURN, list([{ address: '0.0.0.0', prefix: 0 }]))).toEqual([`${why} -j RETURN`]);
  });

  it.each([
    ['an interface', { kind: 'inputInterface', name: 'eth0 -j ACCEPT', negate: false }],
    ['an interface that is an option', { kind: 'inputInterface', name: '-j', negate: false }],
    ['a wildcard', { kind: 'inputInterface', name: 'eth+', negate: false }],
    ['an address', to({ family: 4, address: '192.0.2.1 -j ACCEPT', prefix: 32 })],
    ['host bits', to({ family: 4, address: '192.0.2.1', prefix: 24 })],
    ['a port', port({ port: 70_000 })],
    ['an owner', { kind: 'socketUid', id: 1.5, negate: false }],
    ['a mark', { kind: 'packetMark', mark: -1, negate: false }],
    ['a set that is not there', port({ set: 'none' })],
  ] as const)('never holds %s that is none', (_, match) => {
    expect(() => specs(4, [match], RETURN)).toThrow(expect.objectContaining({ code: 'Internal' }));
  });

  it.each(['a "quote"', 'a\nCOMMIT', 'back\\slash', 'é', ''])('never holds the comment %j', (reason) => {
    const broken = ruleset([chain('output', NAT_OUTPUT, rule([], RETURN, reason))]);
    expect(() => renderIptables(broken)).toThrow(expect.objectContaining({ code: 'Internal' }));
  });
});

describe('what is saved', () => {
  const wanted = iptablesTables(ruleset([chain('output', NAT_OUTPUT, rule([TCP], RETURN, 'established'))]), 4);
  /** As iptables-save prints it: comments quoted only where they must be, chains sorted, strangers in between. */
  const text = `# Generated by iptables-save
*nat
:OUTPUT ACCEPT [0:0]
:IPNC_output - [0:0]
:IPNC_policy - [0:0]
:THEIRS - [0:0]
[4:7] -A OUTPUT -m comment --comment istio-pod-network-controller -j IPNC_output
-A OUTPUT -m comment --comment "-j IPNC_output" -j THEIRS
-A IPNC_output -p tcp -m comment --comment established -j RETURN
-A IPNC_policy -m comment --comment "policy 0123456789abcdef" -j RETURN
COMMIT
`;

  it('equals what is wanted', () => {
    expect(compareIptables(wanted, parseSaved(text), 4)).toEqual([]);
    expect(savedPolicyHash(parseSaved(text))).toBe(policyHash);
  });

  it.each([
    ['a jump behind a stranger', text.replace(/(\[4:7\].*\n)(.*\n)/, '$2$1'), 'ip nat chain OUTPUT'],
    ['no jump', text.replace(/\[4:7\].*\n/, ''), 'ip nat chain OUTPUT'],
    ['another rule', text.replace('-p tcp', '-p udp'), 'ip nat chain IPNC_output rule 1'],
    ['a rule less', text.replace(/-A IPNC_output.*\n/, ''), 'ip nat chain IPNC_output rule 1'],
    ['a chain more', text.replace(':THEIRS', ':IPNC_more'), 'ip nat chain IPNC_more'],
    ['another hash', text.replace('policy 0', 'policy 1'), 'ip nat chain IPNC_policy rule 1'],
    ['a chain of ours in another table', `${text}*security\n:IPNC_x - [0:0]\nCOMMIT\n`, 'ip security chain IPNC_x'],
  ])('differs by %s', (_, changed, where) => {
    expect(compareIptables(wanted, parseSaved(changed), 4).map((drift) => drift.where)).toEqual([where]);
  });

  it('is changed by name, and nothing of a stranger is named', () => {
    const none = iptablesTables(ruleset([]), 4);
    expect(renderChange(none, parseSaved(text.replace('*nat', '*nat\n:IPNC_old - [0:0]')))).toBe(`*raw
:IPNC_policy - [0:0]
-A IPNC_policy -m comment --comment "policy 0123456789abcdef" -j RETURN
COMMIT
*nat
-D OUTPUT -m comment --comment "istio-pod-network-controller" -j IPNC_output
-F IPNC_old
-F IPNC_output
-F IPNC_policy
-X IPNC_old
-X IPNC_output
-X IPNC_policy
COMMIT
`);
  });

  it('comes back as it was', () => {
    const again = renderReturn(parseSaved(text), parseSaved(''));
    expect(compareIptables(wanted, parseSaved(again.replace('-I OUTPUT 1', '-A OUTPUT')), 4)).toEqual([]);
    expect(renderReturn(parseSaved(''), parseSaved(''))).toBe('');
  });

  it.each(['', 'garbage', '*nat', '-A IPNC_x', '*nat\n-A', '*nat\n:IPNC_x', '\0*nat\n-A A -j'])(
    'is read whatever it is: %j',
    (odd) => {
      expect(holdsOurs(parseSaved(odd))).toBe(false);
    },
  );
});
