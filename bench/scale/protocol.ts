import type { ListWatchTimes } from '../../src/kube/list-watch-state.ts';
import type { AgentIdentity } from './populate.ts';

/** What a process of agents is told. */
export type Order =
  | {
      readonly order: 'start';
      readonly agents: readonly AgentIdentity[];
      readonly url: string;
      readonly ca: string;
      readonly times: ListWatchTimes;
    }
  /** Answered by a report. With `clear` its counters begin anew. */
  | { readonly order: 'report'; readonly clear: boolean };

/** What a process of agents says. */
export type Word =
  | { readonly word: 'listening' }
  /** Whether every list/watch of every agent is open. */
  | { readonly word: 'settled'; readonly settled: boolean }
  /** Every agent has seen a Namespace with this marker. */
  | { readonly word: 'marked'; readonly marker: string }
  | { readonly word: 'report'; readonly report: CrewReport };

/** Times are of the machine's monotonic clock. */
export interface CrewReport {
  /** By agent: when the later of its two watches was opened last; NaN while one is not open. */
  readonly openedMs: readonly number[];
  readonly requests: readonly RequestCount[];
  /** Why list/watches were interrupted, and how often. */
  readonly troubles: Readonly<Record<string, number>>;
  /** By marker: when each agent saw it. */
  readonly markedMs: Readonly<Record<string, readonly number[]>>;
  readonly landings: readonly Landing[];
  /** Inside TLS, both since the process began. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly cpuSeconds: number;
  readonly rssMiB: number;
}

/** Requests that ended, or whose answer began, within the same tenth of a second. */
export interface RequestCount {
  readonly slot: number;
  /** Verb, resource and status code. */
  readonly what: string;
  readonly count: number;
}

/** Length of a slot: short enough to see a peak, long enough to be few. */
export const SLOT_MS = 100;

/** One pod that an agent saw and annotated. */
export interface Landing {
  readonly key: string;
  readonly seenMs: number;
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly result: string;
}
