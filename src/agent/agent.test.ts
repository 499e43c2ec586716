import { describe, expect, it } from 'vitest';
import { ControllerError } from '../errors.ts';
import { createHealth } from '../telemetry/health.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { runAgent, type Watched } from './agent.ts';
import { meshPod } from './fake-agent.ts';
import type { Turn } from './reconcile.ts';
import { createRecords } from './records.ts';

/** A watched collection whose changes the test makes. */
function collection<T>(initial: Readonly<Record<string, T>>) {
  const store = new Map(Object.entries(initial));
  let tell: { onChange(key: string): void; onSynced(): void } | undefined;
  const watched: Watched<T> = {
    get: (key) => store.get(key),
    values: () => store.values(),
    failingForMs: () => 1_500,
    run: (handlers, signal) => {
      tell = handlers;
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve());
      });
    },
  };
  return { watched, synced: () => tell?.onSynced(), changed: (key: string) => tell?.onChange(key) };
}

/** A running agent; each reconciliation ends with the turn the test hands in. */
function running() {
  const pods = collection({ 'default/a': meshPod() });
  const namespaces = collection({ default: { name: 'default', annotations: {}, labels: {} } });
  const health = createHealth(() => 0);
  const metrics = createMetrics('test');
  const turns: string[] = [];
  const delays: number[] = [];
  const sleeps: (() => void)[] = [];
  const stop = new AbortController();
  const next = { turn: { kind: 'settled' } as Turn };
  const quiet = () => undefined;
  const hooks = { served: 0, changes: 0 };
  const done = runAgent(
    {
      pods: pods.watched,
      namespaces: namespaces.watched,
      sandboxes: { expect: quiet, guard: quiet, forget: quiet, run: () => Promise.resolve() },
      records: createRecords({ nowMs: () => 0, onDecision: quiet }),
      reconcile: (key) => {
        turns.push(key);
        return Promise.resolve(next.turn);
      },
      onChange: () => {
        hooks.changes += 1;
      },
      onHousekeeping: quiet,
      serveHooks: (signal) => {
        hooks.served += 1;
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve());
        });
      },
      onQueue: quiet,
      health,
      metrics,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      nowMs: () => 0,
      startTimer: (delayMs) => {
        delays.push(delayMs);
        return { cancel: quiet };
      },
      sleep: (_, signal) =>
        new Promise((resolve) => {
          sleeps.push(resolve);
          signal.addEventListener('abort', () => resolve());
        }),
    },
    stop.signal,
  );
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  return {
    hooks,
    pods,
    namespaces,
    health,
    metrics,
    turns,
    delays,
    sleeps,
    next,
    settle,
    end: () => (stop.abort(), done),
  };
}

describe('the loop', () => {
  it('touches no pod before both collections are known, and is ready only after the first round', async () => {
    const agent = running();
    agent.health.done('nftWorks');
    agent.pods.synced();
    agent.pods.changed('default/a');
    await agent.settle();
    expect(agent.turns).toEqual([]);
    expect(agent.health.missing()).toEqual(['synced', 'reconciled']);
    agent.namespaces.synced();
    await agent.settle();
    expect(agent.turns).toEqual(['default/a']);
    expect(agent.health.missing()).toEqual([]);
    await agent.end();
  });

  it('takes hooks of the runtime only when both collections are known, and lets them know of every change', async () => {
    const agent = running();
    agent.pods.changed('default/a');
    agent.pods.synced();
    expect(agent.hooks).toEqual({ served: 0, changes: 1 });
    agent.namespaces.synced();
    agent.namespaces.synced();
    agent.namespaces.changed('default');
    expect(agent.hooks).toEqual({ served: 1, changes: 2 });
    await agent.end();
  });

  it('looks at every pod of a namespace that changed, and at no other', async () => {
    const agent = running();
    agent.pods.synced();
    agent.namespaces.synced();
    await agent.settle();
    agent.namespaces.changed('other');
    await agent.settle();
    expect(agent.turns).toHaveLength(1);
    agent.namespaces.changed('default');
    await agent.settle();
    expect(agent.turns).toHaveLength(2);
    await agent.end();
  });

  it('comes back to a pod that failed, after the pause it was told, and is ready all the same', async () => {
    const agent = running();
    agent.next.turn = { kind: 'retry', afterMs: 700, error: new ControllerError('NetnsMissing', 'gone') };
    agent.health.done('nftWorks');
    agent.pods.synced();
    agent.namespaces.synced();
    await agent.settle();
    expect(agent.delays).toEqual([700]);
    expect(agent.health.missing()).toEqual([]);
    const { text } = await agent.metrics.render();
    expect(text).toContain('reconcile_errors_total{code="NetnsMissing"} 1');
    await agent.end();
  });

  it('says how long a watch has been failing', async () => {
    const agent = running();
    agent.sleeps[0]?.();
    await agent.settle();
    const { text } = await agent.metrics.render();
    expect(text).toContain('watch_failing_seconds{resource="pods"} 1.5');
    await agent.end();
  });

  it('ends when told to, and leaves captured pods alone', async () => {
    const agent = running();
    agent.pods.synced();
    agent.namespaces.synced();
    await agent.settle();
    await agent.end();
    agent.pods.changed('default/a');
    expect(agent.turns).toHaveLength(1);
  });
});
