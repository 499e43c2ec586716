import type { Namespace } from '../pod/pod.ts';
import { type AgentPod, agentsByNode } from '../status/agents.ts';
import type { StatusPod } from '../status/status-pod.ts';
import type { StatusRow } from '../status/status-row.ts';
import { byName, tableRow } from '../status/status-table.ts';
import { wallClock } from './clock.ts';
import type { Given } from './given.ts';
import type { Scope } from './status-read.ts';
import { optionsOf, rowOf } from './status-view.ts';

/** What a watch knows of the cluster, and which rows it has shown. `undefined` removes. */
export interface StatusStore {
  setPod(key: string, pod: StatusPod | undefined): void;
  setNamespace(name: string, namespace: Namespace | undefined): void;
  setAgent(key: string, agent: AgentPod | undefined): void;
  /** They may not be read. */
  agentsUnknown(): void;
  /** The rows of these pods, or of all, that are not what was shown last; sorted. Calling it counts as showing them. */
  changes(keys?: readonly string[]): readonly StatusRow[];
}

interface Shown {
  readonly row: StatusRow;
  readonly cells: string;
}

export function createStatusStore({ given, scope }: { readonly given: Given; readonly scope: Scope }): StatusStore {
  const pods = new Map<string, StatusPod>();
  const namespaces = new Map<string, Namespace>();
  const agentPods = new Map<string, AgentPod>();
  const shown = new Map<string, Shown>();
  // What a narrow table does not show is no change of it.
  const wide = given['output'] === 'wide' || given['output'] === 'json';
  const warned = new Set<string>();
  let agentsKnown = true;

  function warnOnce(text: string): void {
    if (!warned.has(text)) process.stderr.write(`warning: ${text}\n`);
    warned.add(text);
  }

  function rowsOf(keys: Iterable<string>): readonly (readonly [string, StatusRow | undefined])[] {
    const agents = agentsKnown ? agentsByNode([...agentPods.values()]) : ('unknown' as const);
    const surroundings = {
      namespace: (name: string) => namespaces.get(name),
      agents,
      options: optionsOf({ given, agents, agentNamespace: scope.agentNamespace, warn: warnOnce }),
      all: scope.all || scope.names.size > 0,
      nowMs: wallClock().getTime(),
    };
    return [...keys].map((key) => {
      const one = pods.get(key);
      return [key, one === undefined ? undefined : rowOf(one, surroundings)];
    });
  }

  function change(key: string, row: StatusRow | undefined): readonly StatusRow[] {
    const before = shown.get(key);
    if (row === undefined) {
      shown.delete(key);
      // Not taking part any more is no end of the pod; but it is one of what is shown here.
      return before === undefined ? [] : [{ ...before.row, state: 'deleted', sinceMs: undefined, message: '' }];
    }
    const cells = comparable(row, wide);
    if (before?.cells === cells) return [];
    shown.set(key, { row, cells });
    return [row];
  }

  return {
    setPod: (key, pod) => set(pods, key, pod),
    setNamespace: (name, namespace) => set(namespaces, name, namespace),
    setAgent: (key, agent) => set(agentPods, key, agent),
    agentsUnknown: () => {
      agentsKnown = false;
    },
    changes: (keys = [...new Set([...pods.keys(), ...shown.keys()])]) =>
      rowsOf(keys)
        .flatMap(([key, row]) => change(key, row))
        .toSorted(byName),
  };
}

function set<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

/** All that is shown but ages, which change without anything happening. */
function comparable(row: StatusRow, wide: boolean): string {
  const cells = tableRow({ ...row, createdMs: undefined, sinceMs: undefined }, { wide, namespaces: true, nowMs: 0 });
  return JSON.stringify([...cells, row.sinceMs]);
}
