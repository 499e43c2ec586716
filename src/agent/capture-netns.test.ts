import { describe, expect, it } from 'vitest';
import type { Drift } from '../backend/backend.ts';
import { createBackends } from '../backend/backends.ts';
import type { NftContext } from '../backend/nft/libnftables.ts';
import { nftBackend } from '../backend/nft/nft-backend.ts';
import { ControllerError } from '../errors.ts';
import { type Mark, parseMark, readyMark } from '../netns/mark-text.ts';
import type { ProbeResult } from '../netns/probe-result.ts';
import { NOBODY_EXEMPT, type Probe } from '../ruleset/probe.ts';
import { NO_ROUTING, type Ruleset, TABLE } from '../ruleset/ruleset.ts';
import { beginCapture, captureNetns } from './capture-netns.ts';
import type { NetnsEffects } from './netns-effects.ts';

/** Every way to fail, over a kernel made of variables. test/netns has the real one. */
const ruleset: Ruleset = { table: TABLE, policyHash: '0123456789abcdef', sets: [], chains: [], routing: NO_ROUTING };
const probe: Probe = {
  kind: 'connect',
  family: 4,
  address: '192.0.2.1',
  port: 80,
  expect: 'redirected',
  proxyPort: 15001,
  mark: 0,
  exempt: NOBODY_EXEMPT,
  reason: 'all',
};
const request = { netnsPath: '/run/netns/x', podIPs: ['198.51.100.10'], ruleset, probes: [probe] };

function kernel() {
  const state = {
    alias: '',
    comment: undefined as string | undefined,
    addresses: ['127.0.0.1', '198.51.100.10'],
    outcome: 'proven' as ProbeResult['outcome'],
    /** Thrown by the named step. */
    failing: {} as Partial<Record<'run' | 'readMark' | 'writeMark' | 'enter', Error>>,
    /** What the kernel stores instead of what it was told. */
    stored: undefined as string | undefined,
    /** What is missing of addresses and routes. */
    routingDrift: [] as readonly Drift[],
    /** Of the table. */
    print: undefined as string | undefined,
    /** Another fingerprint at each look. */
    moving: false,
    turn: 0,
    log: [] as string[],
    open: 0,
    inside: false,
  };
  const step = (name: string) => {
    state.log.push(name);
    if (!state.inside) throw new Error(`${name} outside`);
  };
  const fail = (name: keyof typeof state.failing) => {
    const error = state.failing[name];
    if (error !== undefined) throw error;
  };
  const context: NftContext = {
    run: (script) => {
      step(script.startsWith('create') ? 'create' : 'replace');
      fail('run');
      if (script.startsWith('create') && state.comment !== undefined) {
        throw new ControllerError('NftRejected', 'exists', { fields: { nft: 'Error: File exists' } });
      }
      state.comment = state.stored ?? /comment "([^"]*)"/.exec(script)?.[1];
    },
    check: () => undefined,
    listTable: () => {
      step('list');
      if (state.comment === undefined) return undefined;
      return { nftables: [{ table: { family: 'inet', name: TABLE, comment: state.comment } }] };
    },
    tableComment: () => state.comment,
  };
  const verified = new Map<string, string>();
  const nft = nftBackend(
    'nft',
    {
      withContext: (work) => {
        step('context');
        return work(context);
      },
    },
    {
      fingerprint: () => {
        step('fingerprint');
        return state.moving ? String((state.turn += 1)) : state.print;
      },
      verified,
      nowMs: () => 0,
    },
  );
  const maker = { make: () => nft, check: () => undefined };
  const effects: NetnsEffects = {
    backends: createBackends({
      choice: 'nft',
      makers: { nft: maker, 'nft-spawned': maker, 'iptables-nft': maker, 'iptables-legacy': maker },
      traces: { nftTable: () => state.comment !== undefined, nftChains: () => false, legacyTables: () => undefined },
      legacyChains: () => false,
    }),
    open: (path) => {
      state.open += 1;
      let open = true;
      const close = () => {
        if (open) state.open -= 1;
        open = false;
      };
      return { path, device: 1n, inode: 1n, cookie: '7', fd: 9, close };
    },
    enter: (_, work) => {
      fail('enter');
      state.inside = true;
      try {
        return work();
      } finally {
        state.inside = false;
      }
    },
    addresses: () => state.addresses,
    readMark: (): Mark => {
      step('readMark');
      fail('readMark');
      return parseMark(state.alias);
    },
    writeMark: (text) => {
      step('writeMark');
      fail('writeMark');
      state.alias = text;
    },
    addRouting: () => {
      step('route');
      const changed = state.routingDrift.length > 0;
      state.routingDrift = [];
      return { changed, trim: () => false };
    },
    inspectRouting: () => state.routingDrift,
    cleanRouting: () => false,
    clearMark: () => {
      state.alias = '';
    },
    runProbes: (probes) => {
      step('probe');
      return probes.map((one) => ({ probe: one, outcome: state.outcome, detail: `detail of ${one.reason}` }));
    },
    nowMs: () => 0,
  };
  return { state, effects, verified };
}

const ready = readyMark(ruleset.policyHash);

describe('captureNetns', () => {
  it('writes, reads back, proves, and only then marks', () => {
    const { state, effects } = kernel();
    expect(captureNetns(request, effects)).toMatchObject({
      action: 'applied',
      netnsCookie: '7',
      drift: [],
      unroutable: [],
    });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'create', 'fingerprint', 'list', 'probe', 'writeMark']);
    expect(state).toMatchObject({ alias: ready, open: 0 });
  });

  it('writes nothing where all is right', () => {
    const { state, effects } = kernel();
    Object.assign(state, { alias: ready, comment: `policy ${ruleset.policyHash}` });
    expect(captureNetns(request, effects).action).toBe('kept');
    expect(state.log).toEqual(['readMark', 'context', 'list']);
  });

  it('brings back an address or route that is gone, and proves again', () => {
    const { state, effects } = kernel();
    const gone = { where: 'rule', expected: 'fwmark 1337', found: 'absent' };
    Object.assign(state, { alias: ready, comment: `policy ${ruleset.policyHash}`, routingDrift: [gone] });
    expect(captureNetns(request, effects)).toMatchObject({ action: 'applied', drift: [gone] });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'list', 'probe', 'writeMark']);
  });

  it('proves before it marks anew', () => {
    const { state, effects } = kernel();
    Object.assign(state, { alias: 'mine', comment: `policy ${ruleset.policyHash}` });
    expect(captureNetns(request, effects)).toMatchObject({ action: 'remarked', foreignAlias: 'mine' });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'list', 'probe', 'writeMark']);
  });

  it('looks again where a table stands under no mark', () => {
    const { state, effects } = kernel();
    state.comment = 'policy ffffffffffffffff';
    expect(captureNetns(request, effects)).toMatchObject({
      action: 'applied',
      previousPolicyHash: 'ffffffffffffffff',
      drift: [],
    });
    expect(state.log).toEqual([
      'readMark',
      'route',
      'context',
      'create',
      'list',
      'replace',
      'fingerprint',
      'list',
      'probe',
      'writeMark',
    ]);
  });

  it('tells what proves nothing', () => {
    const { state, effects } = kernel();
    state.outcome = 'unroutable';
    expect(captureNetns(request, effects).unroutable).toEqual(['detail of all']);
  });
});

describe('reading back', () => {
  const reads = (log: readonly string[]) => log.filter((name) => name === 'list').length;

  it('is done in full once for each policy and state of the table', () => {
    const { state, effects } = kernel();
    const again = (print: string | undefined) => {
      Object.assign(state, { print, alias: '', comment: undefined, log: [] });
      captureNetns(request, effects);
      return reads(state.log);
    };
    expect([again('a'), again('a'), again('b'), again('b'), again(undefined)]).toEqual([1, 0, 1, 0, 1]);
  });

  it('remembers nothing that was found wrong, or changed meanwhile', () => {
    const { state, effects, verified } = kernel();
    Object.assign(state, { print: 'a', stored: 'policy 00000000000000ff' });
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
    expect(verified.size).toBe(0);
    Object.assign(state, { stored: undefined, comment: undefined, alias: '' });
    state.moving = true;
    captureNetns(request, effects);
    expect(verified.size).toBe(0);
  });

  it('forgets the oldest of very many policies', () => {
    const { state, effects, verified } = kernel();
    state.print = 'a';
    for (let policy = 0; policy < 300; policy += 1) {
      Object.assign(state, { alias: '', comment: undefined });
      const policyHash = policy.toString(16).padStart(16, '0');
      captureNetns({ ...request, ruleset: { ...ruleset, policyHash } }, effects);
    }
    expect(verified.size).toBe(256);
    expect(verified.has('0000000000000000')).toBe(false);
  });
});

describe('a failure', () => {
  it('of the proof is told in the netns', () => {
    const { state, effects } = kernel();
    state.outcome = 'failed';
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
    expect(parseMark(state.alias)).toEqual({ kind: 'refused', code: 'ProofFailed', text: 'detail of all' });
    expect(state.open).toBe(0);
  });

  it('of the read-back, too', () => {
    const { state, effects } = kernel();
    state.stored = 'policy 00000000000000ff';
    expect(() => captureNetns(request, effects)).toThrow(/other rules than were written: table comment/);
    expect(parseMark(state.alias)).toMatchObject({ kind: 'refused', code: 'ProofFailed' });
    expect(state.log).not.toContain('probe');
  });

  it('to tell does not hide what went wrong', () => {
    const { state, effects } = kernel();
    state.outcome = 'failed';
    state.failing.writeMark = new ControllerError('MarkFailed', 'no');
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
  });

  const steps = ['run', 'readMark', 'writeMark', 'enter'] as const;
  it.each(steps)('of %s marks nothing and leaves nothing open', (name) => {
    const { state, effects } = kernel();
    state.failing[name] = new ControllerError('Internal', name);
    expect(() => captureNetns(request, effects)).toThrow(name);
    expect(state).toMatchObject({ alias: '', open: 0, inside: false });
  });

  it('of membership writes nothing', () => {
    const { state, effects } = kernel();
    state.addresses = ['198.51.100.11'];
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'NetnsForeign' }));
    expect(state.log).toEqual([]);
  });

  it('of the second look keeps the rules and gives no mark', () => {
    const { state, effects } = kernel();
    const gone = { ...request, stillCurrent: () => false };
    expect(() => captureNetns(gone, effects)).toThrow(expect.objectContaining({ code: 'SandboxReplaced' }));
    expect(state).toMatchObject({ alias: '', open: 0 });
  });
});

it('a session holds the netns until it is closed, and may be closed twice', () => {
  const { state, effects } = kernel();
  const session = beginCapture(request, effects);
  expect(state.open).toBe(1);
  session.finish();
  session.close();
  session.close();
  expect(state.open).toBe(0);
});
