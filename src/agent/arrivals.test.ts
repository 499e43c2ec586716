import { describe, expect, it } from 'vitest';
import type { Namespace, Pod } from '../pod/pod.ts';
import { ARRIVAL_WAIT_MS, createArrivals } from './arrivals.ts';
import { meshPod, toldSandbox } from './fake-agent.ts';

const NAMESPACE: Namespace = { name: 'default', annotations: {}, labels: {} };

function waiting(options: { following?: boolean } = {}) {
  const pods = new Map<string, Pod>();
  const namespaces = new Map([['default', NAMESPACE]]);
  const timers: { delayMs: number; fire: () => void; cancelled: boolean }[] = [];
  const arrivals = createArrivals({
    pod: (key) => pods.get(key),
    namespace: (name) => namespaces.get(name),
    following: () => options.following ?? true,
    nowMs: () => 1_000,
    startTimer: (delayMs, fire) => {
      const timer = { delayMs, fire, cancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
  });
  return { arrivals, pods, namespaces, timers };
}

/** What a promise has come to by now, without waiting for it. */
function soFar<T>(promise: Promise<T>): Promise<T | 'waits'> {
  return Promise.race([promise, Promise.resolve('waits' as const)]);
}

describe('a pod of which the watch', () => {
  it('has told is there at once', async () => {
    const { arrivals, pods, timers } = waiting();
    pods.set('default/a', meshPod());
    expect((await arrivals.awaited(toldSandbox('s1'), 2_600))?.pod.name).toBe('a');
    expect(timers).toEqual([]);
  });

  it('tells in time is there with its event', async () => {
    const { arrivals, pods, timers } = waiting();
    const arrived = arrivals.awaited(toldSandbox('s1'), 2_600);
    arrivals.changed();
    expect(await soFar(arrived)).toBe('waits');
    pods.set('default/a', meshPod());
    arrivals.changed();
    expect((await arrived)?.pod.uid).toBe('uid-1');
    expect(timers).toMatchObject([{ delayMs: ARRIVAL_WAIT_MS, cancelled: true }]);
  });

  it('has told only under the uid of an earlier pod is still to come', async () => {
    const { arrivals, pods } = waiting();
    pods.set('default/a', meshPod({ uid: 'earlier' }));
    const arrived = arrivals.awaited(toldSandbox('s1'), 2_600);
    expect(await soFar(arrived)).toBe('waits');
    pods.set('default/a', meshPod());
    arrivals.changed();
    expect((await arrived)?.pod.uid).toBe('uid-1');
  });

  it('has told, but not of its Namespace, is still to come', async () => {
    const { arrivals, pods, namespaces } = waiting();
    namespaces.clear();
    pods.set('default/a', meshPod());
    const arrived = arrivals.awaited(toldSandbox('s1'), 2_600);
    expect(await soFar(arrived)).toBe('waits');
    namespaces.set('default', NAMESPACE);
    arrivals.changed();
    expect((await arrived)?.namespace).toBe(NAMESPACE);
  });

  it('does not tell in time is undefined, and no longer waited for', async () => {
    const { arrivals, timers } = waiting();
    const arrived = arrivals.awaited(toldSandbox('s1'), 1_200);
    expect(timers).toMatchObject([{ delayMs: 200 }]);
    timers[0]?.fire();
    expect(await arrived).toBeUndefined();
    arrivals.changed();
  });

  it('cannot tell, because it is interrupted, is not waited for', async () => {
    const { arrivals, timers } = waiting({ following: false });
    expect(await arrivals.awaited(toldSandbox('s1'), 2_600)).toBeUndefined();
    expect(timers).toEqual([]);
  });
});
