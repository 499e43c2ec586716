import { ControllerError, isControllerError, messageOf } from '../errors.ts';
import { TABLE } from '../ruleset/ruleset.ts';
import type { Backend, BackendName } from './backend.ts';
import { type BackendChoice, candidates, holderOf, type RuleHolder } from './choose.ts';
import { CHAIN_PREFIX } from './iptables/names.ts';

/** Picks the backend for the netns the calling thread is in. */
export interface Backends {
  choose(visit: NetnsVisit): ChosenBackend;
  /** Every backend whose rules stand here. Reads only. */
  standing(): readonly Backend[];
  /** The backend a netns without rules gets on this node. Throws if none works. */
  preferred(): BackendName;
}

export interface NetnsVisit {
  /** The netns carries no mark of ours. */
  readonly fresh: boolean;
  readonly ownUserNamespace: boolean;
}

export interface ChosenBackend {
  readonly backend: Backend;
  /** Left behind by a switch that was cut short: to be cleaned once the chosen one's rules stand. */
  readonly leftBehind: readonly Backend[];
}

/** What there is to choose from. `check` throws the error that says why a backend does not work on this node; it writes nothing. */
export interface BackendMaker {
  make(): Backend;
  check(): void;
}

/** What can be seen of rules in the current netns without any tool. */
export interface Traces {
  nftTable(name: string): boolean;
  nftChains(prefix: string): boolean;
  legacyTables(): readonly string[] | undefined;
}

export interface BackendsOptions {
  readonly choice: BackendChoice;
  readonly makers: Readonly<Record<BackendName, BackendMaker>>;
  readonly traces: Traces;
  /** Are there chains of ours among legacy iptables' rules? Only asked where legacy tables exist: asking makes them. */
  readonly legacyChains: () => boolean;
}

/** What works is found out once for a process, the first time it is asked for. */
export function createBackends(options: BackendsOptions): Backends {
  const { choice, makers } = options;
  const made = new Map<BackendName, Backend>();
  /** Of those that were checked; undefined: it works. */
  const problems = new Map<BackendName, ControllerError | undefined>();

  function backendOf(name: BackendName): Backend {
    const backend = made.get(name) ?? makers[name].make();
    made.set(name, backend);
    return backend;
  }

  function problemOf(name: BackendName): ControllerError | undefined {
    if (problems.has(name)) return problems.get(name);
    try {
      makers[name].check();
      problems.set(name, undefined);
    } catch (error: unknown) {
      // Without the privilege none would work; and what failed for want of time may work the next time.
      if (!isControllerError(error) || isControllerError(error, 'NotPermitted', 'ProgramFailed')) throw error;
      problems.set(name, error);
    }
    return problems.get(name);
  }

  function firstWorking(names: readonly BackendName[]): BackendName {
    const found = names.find((name) => problemOf(name) === undefined);
    if (found !== undefined) return found;
    const reasons = names.map((name) => ({ name, error: problemOf(name) }));
    const [only] = reasons;
    if (only?.error !== undefined && reasons.length === 1) throw only.error;
    const text = reasons.map(({ name, error }) => `${name}: ${messageOf(error)}`).join('; ');
    throw new ControllerError('BackendUnsuited', `no backend works on this node: ${text}`, {
      hint: reasons.find(({ error }) => error?.hint !== undefined)?.error?.hint ?? 'Install libnftables or iptables.',
    });
  }

  return {
    choose: ({ fresh, ownUserNamespace }) => {
      const standing = standingHere(options, { fresh });
      const name = firstWorking(candidates(choice, { standing, ownUserNamespace }));
      const others = standing.filter((holder) => holder !== holderOf(name));
      return { backend: backendOf(name), leftBehind: others.map((holder) => backendOf(workingFor(holder))) };
    },
    standing: () => standingHere(options, { fresh: false }).map((holder) => backendOf(workingFor(holder))),
    preferred: () => firstWorking(candidates(choice, { standing: [], ownUserNamespace: false })),
  };

  function workingFor(holder: RuleHolder): BackendName {
    return holder === 'nft'
      ? firstWorking(choice === 'nft-spawned' ? ['nft-spawned'] : ['nft', 'nft-spawned'])
      : holder;
  }
}

function standingHere(options: BackendsOptions, { fresh }: Pick<NetnsVisit, 'fresh'>): readonly RuleHolder[] {
  const { choice, traces } = options;
  // A new table refuses by itself to be where one is already: no need to look for it in a fresh netns.
  const skipNft = fresh && (choice === 'auto' || holderOf(choice) === 'nft');
  const seen: readonly RuleHolder[] = [
    ...(!skipNft && traces.nftTable(TABLE) ? (['nft'] as const) : []),
    ...(traces.nftChains(CHAIN_PREFIX) ? (['iptables-nft'] as const) : []),
  ];
  return holdsLegacyChains(options, { expected: !fresh && seen.length === 0 }) ? [...seen, 'iptables-legacy'] : seen;
}

/**
 * Legacy tables need not be ours: who merely lists them makes them, as Istio's CNI plugin does in each pod it captures. To look into them
 * takes CAP_NET_RAW, which an agent that writes no legacy rules does not have. Rules of ours can only be there if the netns is marked and
 * they stand nowhere else; then it is an error not to see them.
 */
function holdsLegacyChains(
  { traces, legacyChains }: BackendsOptions,
  { expected }: { readonly expected: boolean },
): boolean {
  if ((traces.legacyTables() ?? []).length === 0) return false;
  try {
    return legacyChains();
  } catch (error: unknown) {
    if (!expected && isControllerError(error, 'NotPermitted')) return false;
    throw error;
  }
}
