import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeCluster, fakeCluster, NAMESPACES } from './fake-cluster.ts';
import { createNamespaces } from './namespaces.ts';
import { recordingLog, silentMetrics } from './recording.ts';

const INITIALIZE = 'istio-pod-network-controller/initialize';
const asking = (value: string) => ({ metadata: { annotations: { [INITIALIZE]: value } } });
let cluster: FakeCluster;
let stop: AbortController;

beforeEach(async () => {
  cluster = await fakeCluster();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await cluster.close();
});

describe('the Namespaces', () => {
  it('that say "true", and only so, are opted in', async () => {
    for (const [index, value] of ['false', 'true', 'True', ' true', 'yes'].entries()) {
      cluster.put(NAMESPACES, `n${index}`, asking(value));
    }
    const namespaces = await start();
    expect(namespaces.optedIn()).toEqual(['n1']);
  });

  it('keep their annotations, but for the copy of the whole object that kubectl leaves', async () => {
    const annotations = { a: 'b', 'kubectl.kubernetes.io/last-applied-configuration': '{}' };
    cluster.put(NAMESPACES, 'shop', { metadata: { annotations } });
    const namespaces = await start();
    expect(await namespaces.annotationsOf('shop')).toEqual({ a: 'b' });
  });

  it('tell of what changes who is opted in, and of nothing else', async () => {
    cluster.put(NAMESPACES, 'shop', asking('true'));
    const namespaces = await start();
    const before = namespaces.changes();
    cluster.put(NAMESPACES, 'shop', { metadata: { annotations: { [INITIALIZE]: 'true', other: 'x' } } });
    cluster.put(NAMESPACES, 'bank', asking('true'));
    await namespaces.changed(before + 1);
    expect(namespaces.optedIn()).toEqual(['bank', 'shop']);
    expect(namespaces.changes()).toBe(before + 1);
  });

  it('that the watch does not know are asked for, once however many pods wait', async () => {
    let gets = 0;
    cluster.fail = ({ path }) => void (gets += path === `${NAMESPACES}/young` ? 1 : 0);
    const namespaces = await start({ deaf: true });
    cluster.put(NAMESPACES, 'young', asking('true'));
    const answers = await Promise.all([1, 2, 3].map(() => namespaces.annotationsOf('young')));
    expect(answers).toEqual([1, 2, 3].map(() => ({ [INITIALIZE]: 'true' })));
    expect(gets).toBe(1);
  });

  it('that do not exist, or cannot be asked for, are an error', async () => {
    const namespaces = await start();
    await expect(namespaces.annotationsOf('none')).rejects.toMatchObject({ message: 'there is no Namespace none' });
    expect(await namespaces.askedAfresh('none')).toBeUndefined();
    cluster.fail = () => 500;
    await expect(namespaces.annotationsOf('none')).rejects.toMatchObject({ code: 'ApiUnavailable' });
  });

  it('are asked for within bounds', async () => {
    const namespaces = await start();
    const all = await Promise.allSettled(Array.from({ length: 72 }, (_, index) => namespaces.askedAfresh(`n${index}`)));
    const refused = all.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(8);
    expect(refused[0]).toMatchObject({ reason: { message: 'too many Namespaces are being read; n64 was not' } });
  });
});

/** Watching, with its first list complete; one that is deaf hears of no change after it. */
async function start({ deaf = false } = {}) {
  let changes = 0;
  const waiting: { count: number; resolve: () => void }[] = [];
  const { api } = cluster.client();
  const ends = new AbortController();
  const namespaces = createNamespaces({ api, log: recordingLog(), metrics: silentMetrics });
  const changed = (count: number) =>
    new Promise<void>((resolve) => {
      if (changes >= count) resolve();
      else waiting.push({ count, resolve });
    });
  void namespaces.run(
    () => {
      changes += 1;
      for (const one of waiting) if (changes >= one.count) one.resolve();
    },
    AbortSignal.any([stop.signal, ends.signal]),
  );
  await changed(1);
  if (deaf) ends.abort();
  return { ...namespaces, changes: () => changes, changed };
}
