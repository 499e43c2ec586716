import type { Drift } from '../backend/backend.ts';
import { createBackends } from '../backend/backends.ts';
import type { NftContext } from '../backend/nft/libnftables.ts';
import { nftBackend } from '../backend/nft/nft-backend.ts';
import { ControllerError } from '../errors.ts';
import { type Mark, parseMark } from '../netns/mark-text.ts';
import type { ProbeResult } from '../netns/probe-result.ts';
import { NOBODY_EXEMPT, type Probe } from '../ruleset/probe.ts';
import { NO_ROUTING, type Ruleset, TABLE } from '../ruleset/ruleset.ts';
import type { NetnsEffects } from './netns-effects.ts';

export const ruleset: Ruleset = {
  table: TABLE,
  policyHash: '0123456789abcdef',
  sets: [],
  chains: [],
  routing: NO_ROUTING,
};
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
export const request = { netnsPath: '/run/netns/x', podIPs: ['198.51.100.10'], ruleset, probes: [probe] };

/** A kernel made of variables, with every way to fail. test/netns has the real one. */
export function kernel() {
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
