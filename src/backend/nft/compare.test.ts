import { describe, expect, it } from 'vitest';
import { NO_ROUTING, type Ruleset } from '../../ruleset/ruleset.ts';
import { policyHashOf } from '../backend.ts';
import { compareNft } from './compare.ts';

const TABLE = 'istio_pod_network_controller';

const ruleset: Ruleset = {
  table: TABLE,
  policyHash: '0123456789abcdef',
  routing: NO_ROUTING,
  sets: [
    { name: 'ports', type: 'port', elements: [15090, 22] },
    {
      name: 'v4',
      type: 'ipv4',
      elements: [
        { address: '10.0.0.0', prefix: 8 },
        { address: '192.0.2.0', prefix: 31 },
        { address: '192.0.2.2', prefix: 32 },
      ],
    },
    { name: 'v6', type: 'ipv6', elements: [{ address: '2001:db8::', prefix: 32 }] },
  ],
  chains: [
    {
      name: 'output',
      base: { type: 'nat', hook: 'output', priority: -100 },
      rules: [
        {
          matches: [
            { kind: 'outputInterface', name: 'lo', negate: false },
            { kind: 'destinationAddress', addresses: { family: 4, address: '127.0.0.1', prefix: 32 }, negate: true },
            { kind: 'destinationPort', protocol: 'tcp', ports: { port: 15008 }, negate: true },
            { kind: 'socketUid', id: 1337, negate: false },
          ],
          verdict: { kind: 'redirect', port: 15006 },
          reason: 'self-call',
        },
        {
          matches: [
            { kind: 'protocol', protocol: 'tcp' },
            { kind: 'destinationPort', protocol: 'tcp', ports: { set: 'ports' }, negate: false },
          ],
          verdict: { kind: 'return' },
          reason: 'excluded',
        },
        {
          matches: [
            { kind: 'destinationAddress', addresses: { family: 6, address: '2001:db8::', prefix: 32 }, negate: false },
          ],
          verdict: { kind: 'jump', chain: 'redirect_out' },
          reason: 'included',
        },
      ],
    },
    {
      name: 'redirect_out',
      base: undefined,
      rules: [
        { matches: [{ kind: 'protocol', protocol: 'tcp' }], verdict: { kind: 'redirect', port: 15001 }, reason: 'all' },
      ],
    },
  ],
};

const counter = { counter: { packets: 7, bytes: 420 } };

function match(left: object, right: unknown, op = '=='): object {
  return { match: { op, left, right } };
}

const meta = (key: string) => ({ meta: { key } });
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });

/** As libnftables 1.0.6 prints it, handles and counters included. */
const RULES = [
  {
    chain: 'output',
    comment: 'self-call',
    expr: [
      match(meta('oifname'), 'lo'),
      match(payload('ip', 'daddr'), '127.0.0.1', '!='),
      match(payload('tcp', 'dport'), 15008, '!='),
      match(meta('skuid'), 1337),
      counter,
      { redirect: { port: 15006 } },
    ],
  },
  { chain: 'output', comment: 'excluded', expr: [match(payload('tcp', 'dport'), '@ports'), counter, { return: null }] },
  {
    chain: 'output',
    comment: 'included',
    expr: [
      match(payload('ip6', 'daddr'), { prefix: { addr: '2001:db8::', len: 32 } }),
      counter,
      { jump: { target: 'redirect_out' } },
    ],
  },
  { chain: 'redirect_out', comment: 'all', expr: [match(meta('l4proto'), 6), counter, { redirect: { port: 15001 } }] },
];

interface Listed {
  readonly table?: object;
  readonly ports?: object;
  readonly v4?: readonly unknown[];
  readonly chain?: object;
  readonly rules?: readonly object[];
  readonly more?: readonly object[];
}

function listing(change: Listed = {}): unknown {
  const own = { family: 'inet', table: TABLE };
  const v4 = change.v4 ?? [
    { prefix: { addr: '10.0.0.0', len: 8 } },
    { prefix: { addr: '192.0.2.0', len: 31 } },
    '192.0.2.2',
  ];
  return {
    nftables: [
      { metainfo: { version: '1.0.6', json_schema_version: 1 } },
      { table: { family: 'inet', name: TABLE, handle: 3, ...change.table } },
      { set: { ...own, name: 'ports', type: 'inet_service', handle: 3, elem: [22, 15090], ...change.ports } },
      { set: { ...own, name: 'v4', type: 'ipv4_addr', handle: 4, flags: ['interval'], elem: v4 } },
      {
        set: {
          ...own,
          name: 'v6',
          type: 'ipv6_addr',
          flags: 'interval',
          elem: [{ prefix: { addr: '2001:db8::', len: 32 } }],
        },
      },
      {
        chain: {
          ...own,
          name: 'output',
          handle: 1,
          type: 'nat',
          hook: 'output',
          prio: -100,
          policy: 'accept',
          ...change.chain,
        },
      },
      { chain: { ...own, name: 'redirect_out', handle: 2 } },
      ...(change.rules ?? RULES).map((rule) => ({ rule: { ...own, handle: 9, ...rule } })),
      ...(change.more ?? []),
    ],
  };
}

function places(found: unknown): readonly string[] {
  return compareNft(ruleset, found).map(({ where }) => where);
}

describe('no difference', () => {
  it('where the library prints what was written', () => {
    expect(compareNft(ruleset, listing())).toEqual([]);
  });

  it('however the library merges and orders elements', () => {
    const range = { range: ['192.0.2.0', '192.0.2.2'] };
    expect(places(listing({ v4: [range, { range: ['10.0.0.0', '10.255.255.255'] }] }))).toEqual([]);
    expect(places(listing({ ports: { elem: [15090, 22] } }))).toEqual([]);
  });

  it('where another version names protocols, prints implied matches, and lists the comment', () => {
    const [first, second, third, last] = RULES;
    const rules = [
      first ?? {},
      { ...second, expr: [match(meta('l4proto'), 'tcp'), ...(second?.expr ?? [])] },
      { ...third, expr: [match(meta('nfproto'), 'ipv6'), ...(third?.expr ?? [])] },
      { ...last, expr: [match(meta('l4proto'), 'tcp'), { redirect: { port: 15001 } }] },
    ];
    expect(places(listing({ rules, table: { comment: 'policy 0123456789abcdef' } }))).toEqual([]);
  });
});

describe('a difference', () => {
  const [first, second, third, last] = RULES.map((rule) => ({ ...rule }));
  const altered = (expr: readonly unknown[]) =>
    listing({ rules: [first ?? {}, { ...second, expr }, third ?? {}, last ?? {}] });
  const cases: readonly (readonly [string, unknown, readonly string[]])[] = [
    ['of policy', listing({ table: { comment: 'policy ffffffffffffffff' } }), ['table comment']],
    ['of table flags', listing({ table: { flags: ['dormant'] } }), ['table flags']],
    ['of table name', listing({ table: { name: 'x' } }), ['table name']],
    ['of a missing port', listing({ ports: { elem: [22] } }), ['set ports elements']],
    ['of an empty set', listing({ ports: { elem: undefined } }), ['set ports elements']],
    ['of set type', listing({ ports: { type: 'ipv4_addr' } }), ['set ports type']],
    ['of set flags', listing({ ports: { flags: ['timeout'] } }), ['set ports flags']],
    [
      'of an element with a timeout',
      listing({ ports: { elem: [22, { elem: { val: 15090, timeout: 5 } }] } }),
      ['set ports elements'],
    ],
    ['of a range', listing({ v4: [{ prefix: { addr: '10.0.0.0', len: 9 } }] }), ['set v4 elements']],
    ['of priority', listing({ chain: { prio: -101 } }), ['chain output hook']],
    ['of hook', listing({ chain: { hook: 'input' } }), ['chain output hook']],
    ['of chain policy', listing({ chain: { policy: 'drop' } }), ['chain output hook']],
    ['of a missing rule', listing({ rules: RULES.slice(0, 3) }), ['chain redirect_out rule 1']],
    ['of a doubled rule', listing({ rules: [...RULES, ...RULES.slice(3)] }), ['chain redirect_out rule 2']],
    [
      'of order',
      listing({ rules: [second ?? {}, first ?? {}, third ?? {}, last ?? {}] }),
      ['chain output rule 1', 'chain output rule 2'],
    ],
    ['of a verdict', altered([match(payload('tcp', 'dport'), '@ports'), { accept: null }]), ['chain output rule 2']],
    [
      'of a negation',
      altered([match(payload('tcp', 'dport'), '@ports', '!='), { return: null }]),
      ['chain output rule 2'],
    ],
    ['of protocol', altered([match(payload('udp', 'dport'), '@ports'), { return: null }]), ['chain output rule 2']],
    [
      'of a match too many',
      altered([match(meta('mark'), 1), match(payload('tcp', 'dport'), '@ports'), { return: null }]),
      ['chain output rule 2'],
    ],
    [
      'of a statement too many',
      altered([match(payload('tcp', 'dport'), '@ports'), { mangle: {} }, { return: null }]),
      ['chain output rule 2'],
    ],
    ['of an operator', altered([match(payload('tcp', 'dport'), 22, '>'), { return: null }]), ['chain output rule 2']],
    [
      'of redirect flags',
      listing({
        rules: [
          first ?? {},
          second ?? {},
          third ?? {},
          { ...last, expr: [match(meta('l4proto'), 6), { redirect: { port: 15001, flags: ['random'] } }] },
        ],
      }),
      ['chain redirect_out rule 1'],
    ],
    [
      'of a comment',
      listing({ rules: [first ?? {}, { ...second, comment: 'x' }, third ?? {}, last ?? {}] }),
      ['chain output rule 2'],
    ],
    ['of a foreign chain', listing({ more: [{ chain: { family: 'inet', table: TABLE, name: 'x' } }] }), ['chain x']],
    [
      'of a foreign set',
      listing({ more: [{ set: { family: 'inet', table: TABLE, name: 'x', type: 'mark' } }] }),
      ['set x'],
    ],
    ['of a foreign map', listing({ more: [{ map: { name: 'x' } }] }), ['table']],
    ['where there is no table', { nftables: [] }, ['table']],
    ['where there is no listing', 'nonsense', ['table']],
  ];
  it.each(cases)('%s', (_, found, expected) => {
    expect(places(found)).toEqual(expected);
  });

  it('is told in words of nft', () => {
    const found = altered([match(payload('tcp', 'dport'), 22), { drop: null }]);
    expect(compareNft(ruleset, found)).toEqual([
      {
        where: 'chain output rule 2',
        expected: 'tcp dport @ports return comment "excluded"',
        found: 'tcp dport 22 drop comment "excluded"',
      },
    ]);
  });
});

it('reads the policy from a comment of ours only', () => {
  expect(policyHashOf('policy 0123456789abcdef')).toBe('0123456789abcdef');
  expect(policyHashOf('policy 0123456789abcdef0')).toBeUndefined();
  expect(policyHashOf('mine')).toBeUndefined();
  expect(policyHashOf(undefined)).toBeUndefined();
});
