import type { Decision } from '../enrollment/reasons.ts';
import type { Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import type { PodRecord, Settled } from './plan.ts';

/** The agent's memo per pod uid. Lost at a restart on purpose: what counts is in the netns. */
export interface Records {
  /** The record of this pod, made at its first sight. `decision` is kept for the gauge of pods by state. */
  of(pod: Pod, decision: Decision): PodRecord;
  find(uid: string): PodRecord | undefined;
  settle(uid: string, settled: Settled): void;
  told(uid: string, key: string): void;
  /** The pod is gone from the store. */
  dropKey(key: string): void;
  /** Pods by state, for the gauge. */
  states(): ReadonlyMap<PodState, number>;
}

export type PodState = 'ignored' | 'waiting' | 'captured' | 'refused';

interface Entry {
  record: PodRecord;
  decision: Decision;
}

export function createRecords(options: {
  readonly nowMs: () => number;
  /** Called when a pod is decided on for the first time, or differently than before. */
  readonly onDecision: (pod: Pod, decision: Decision) => void;
}): Records {
  const byUid = new Map<string, Entry>();
  const uidByKey = new Map<string, string>();

  function of(pod: Pod, decision: Decision): PodRecord {
    const key = podKey(pod);
    const earlierUid = uidByKey.get(key);
    // A pod of the same name made anew (StatefulSet) is another pod.
    if (earlierUid !== undefined && earlierUid !== pod.uid) byUid.delete(earlierUid);
    uidByKey.set(key, pod.uid);
    const entry = byUid.get(pod.uid);
    if (
      entry === undefined ||
      entry.decision.reason !== decision.reason ||
      entry.decision.message !== decision.message
    ) {
      options.onDecision(pod, decision);
    }
    const record = entry?.record ?? { uid: pod.uid, firstSeenMs: options.nowMs(), settled: undefined, told: undefined };
    byUid.set(pod.uid, { record, decision });
    return record;
  }

  function change(uid: string, changes: Partial<PodRecord>): void {
    const entry = byUid.get(uid);
    if (entry !== undefined) entry.record = { ...entry.record, ...changes };
  }

  return {
    of,
    find: (uid) => byUid.get(uid)?.record,
    settle: (uid, settled) => change(uid, { settled }),
    told: (uid, key) => change(uid, { told: key }),
    dropKey: (key) => {
      const uid = uidByKey.get(key);
      if (uid === undefined) return;
      uidByKey.delete(key);
      byUid.delete(uid);
    },
    states: () => {
      const counts = new Map<PodState, number>([
        ['ignored', 0],
        ['waiting', 0],
        ['captured', 0],
        ['refused', 0],
      ]);
      for (const entry of byUid.values()) {
        const state = stateOf(entry);
        counts.set(state, (counts.get(state) ?? 0) + 1);
      }
      return counts;
    },
  };
}

function stateOf({ record, decision }: Entry): PodState {
  if (decision.action === 'ignore') return 'ignored';
  if (decision.action === 'refuse') return 'refused';
  return record.settled === undefined ? 'waiting' : 'captured';
}
