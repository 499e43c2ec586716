import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ListWatchTimes } from '../../src/kube/list-watch-state.ts';
import type { AgentIdentity } from './populate.ts';
import type { CrewReport, Order, Word } from './protocol.ts';

/** All simulated agents, spread over a few processes: one event loop would be the bottleneck that is measured. */
export interface Crew {
  readonly size: number;
  start(options: { readonly url: URL; readonly ca: string; readonly times: ListWatchTimes }): void;
  /** Waits until every list/watch is open and has been for `quietMs`; false if that was not so within `timeoutMs`. */
  settled(wait: { readonly quietMs: number; readonly timeoutMs: number }): Promise<boolean>;
  /** Waits until every agent has seen the marker; false if not all did. */
  marked(marker: string, timeoutMs: number): Promise<boolean>;
  /** What all processes wrote down; `clear` begins anew. */
  report(options?: { readonly clear?: boolean }): Promise<CrewReport>;
  end(): Promise<void>;
}

const NODE_OPTIONS = ['--max-old-space-size=4096'];

export async function hireCrew(agents: readonly AgentIdentity[], processes: number): Promise<Crew> {
  const shares = Array.from({ length: processes }, (_, share) =>
    agents.filter((_agent, index) => index % processes === share),
  ).filter((share) => share.length > 0);
  const script = fileURLToPath(new URL('./worker.ts', import.meta.url));
  const children = shares.map(() => fork(script, [], { serialization: 'advanced', execArgv: NODE_OPTIONS }));
  const settled = new Set<ChildProcess>();
  const markers = new Map<string, Set<ChildProcess>>();
  const changes = new EventTarget();
  for (const child of children) {
    child.on('message', (word: Word) => {
      if (word.word === 'settled') settled[word.settled ? 'add' : 'delete'](child);
      else if (word.word === 'marked') markers.set(word.marker, (markers.get(word.marker) ?? new Set()).add(child));
      else return;
      changes.dispatchEvent(new Event('change'));
    });
  }
  await Promise.all(children.map((child) => heard(child, 'listening')));

  /** True once `holds` has been true for `quietMs` without a break. */
  async function lasting(
    holds: () => boolean,
    { quietMs, timeoutMs }: { readonly quietMs: number; readonly timeoutMs: number },
  ): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    let quiet: NodeJS.Timeout | undefined;
    const look = () => {
      clearTimeout(quiet);
      quiet = holds() ? setTimeout(() => resolve(true), quietMs) : undefined;
    };
    const late = setTimeout(() => resolve(false), timeoutMs);
    changes.addEventListener('change', look);
    look();
    const result = await promise;
    changes.removeEventListener('change', look);
    clearTimeout(late);
    clearTimeout(quiet);
    return result;
  }

  const tell = (child: ChildProcess, order: Order) => void child.send(order);
  return {
    size: agents.length,
    start: ({ url, ca, times }) => {
      for (const [index, child] of children.entries()) {
        tell(child, { order: 'start', agents: shares[index] ?? [], url: url.href, ca, times });
      }
    },
    settled: (wait) => lasting(() => settled.size === children.length, wait),
    marked: (marker, timeoutMs) =>
      lasting(() => markers.get(marker)?.size === children.length, { quietMs: 0, timeoutMs }),
    report: async ({ clear = false } = {}) => {
      const reports = await Promise.all(
        children.map((child) => {
          const answer = heard(child, 'report');
          tell(child, { order: 'report', clear });
          return answer;
        }),
      );
      return mergeReports(reports.map(({ report }) => report));
    },
    end: async () => {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, 'exit');
          child.kill('SIGKILL');
          await exited;
        }),
      );
    },
  };
}

/** Sums and concatenations: no process knows of the others. */
export function mergeReports(reports: readonly CrewReport[]): CrewReport {
  const sum = (part: (report: CrewReport) => number) => reports.reduce((all, report) => all + part(report), 0);
  const troubles: Record<string, number> = {};
  const markedMs: Record<string, number[]> = {};
  for (const report of reports) {
    for (const [why, count] of Object.entries(report.troubles)) troubles[why] = (troubles[why] ?? 0) + count;
    for (const [marker, times] of Object.entries(report.markedMs)) (markedMs[marker] ??= []).push(...times);
  }
  return {
    openedMs: reports.flatMap((report) => report.openedMs),
    requests: reports.flatMap((report) => report.requests),
    landings: reports.flatMap((report) => report.landings),
    troubles,
    markedMs,
    receivedBytes: sum((report) => report.receivedBytes),
    sentBytes: sum((report) => report.sentBytes),
    cpuSeconds: sum((report) => report.cpuSeconds),
    rssMiB: sum((report) => report.rssMiB),
  };
}

/** The child's next word of this kind; throws if it ends instead. */
function heard<W extends Word['word']>(child: ChildProcess, what: W): Promise<Extract<Word, { word: W }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<Word, { word: W }>>();
  const onMessage = (word: Word) => {
    if (word.word !== what) return;
    child.off('message', onMessage).off('exit', onExit);
    resolve(word as Extract<Word, { word: W }>);
  };
  const onExit = (code: number | null, signal: string | null) =>
    reject(new Error(`a process of agents ended: ${signal ?? `exit ${code}`}`));
  child.on('message', onMessage).once('exit', onExit);
  return promise;
}
