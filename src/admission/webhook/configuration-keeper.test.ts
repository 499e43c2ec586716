import { beforeAll, describe, expect, it } from 'vitest';
import { ControllerError } from '../../errors.ts';
import { asList, asObject, type JsonObject } from '../json.ts';
import { certificatesIn } from './certificate.ts';
import { entries, type EntrySettings, NAMESPACES_ENTRY } from './configuration.ts';
import { createConfigurationKeeper } from './configuration-keeper.ts';
import { makeCertificate } from './make-certificate.ts';
import { recordingLog, silentMetrics } from './recording.ts';

const SETTINGS: EntrySettings = {
  service: { namespace: 'own', name: 'webhook' },
  failurePolicy: 'Fail',
  excludedNamespaces: ['own'],
  enroll: 'annotated',
};
const YES = { 'istio-pod-network-controller/initialize': 'true' };
const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
let older: readonly string[];
let newer: readonly string[];

beforeAll(async () => {
  const make = async (nowMs: number) =>
    (await makeCertificate({ dnsName: 'a', lifetimeMs: 86_400_000, nowMs })).authorities;
  older = await make(NOW_MS - 1_000_000);
  newer = await make(NOW_MS);
});

describe('the keeper of the configuration', () => {
  it('writes once, and then leaves it', async () => {
    const keeper = await start({ live: [] });
    expect(keeper.writes).toEqual([['shop']]);
    await keeper.change(keeper.live());
    expect(keeper.writes).toHaveLength(1);
  });

  it('leaves a CA in that it does not know: another replica may be about to be served with it', async () => {
    const both = [...newer, ...older];
    const keeper = await start({ live: written(['shop'], both) });
    expect(keeper.writes).toEqual([]);
    await keeper.change(written(['shop'], newer));
    expect(keeper.writes).toHaveLength(1);
    expect(keeper.bundle()).toEqual(both);
  });

  it('leaves a Namespace in that it does not know, until the API server says that it does not ask', async () => {
    let answer: () => Promise<Readonly<Record<string, string>> | undefined> = async () => YES;
    const keeper = await start({ live: written(['bank', 'shop'], older), askedAfresh: () => answer() });
    expect(keeper.writes).toEqual([]);
    answer = async () => {
      throw new ControllerError('ApiUnavailable', 'no answer');
    };
    await keeper.wake();
    expect(keeper.writes).toEqual([]);
    answer = async () => undefined;
    await keeper.wake();
    expect(keeper.writes).toEqual([['shop']]);
  });

  it('reads at most twenty of them afresh at a time', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `n${10 + index}`);
    let asked = 0;
    const askedAfresh = async () => void (asked += 1);
    const keeper = await start({ live: written([...names, 'shop'], older), askedAfresh });
    expect(asked).toBe(20);
    expect(keeper.writes).toEqual([[...names.slice(20), 'shop'].toSorted()]);
    await keeper.elapse();
    expect(keeper.writes[1]).toEqual(['shop']);
  });

  it('writes nothing while its own view of Namespaces is old', async () => {
    let current = false;
    const keeper = await start({ live: [], current: () => current });
    expect(keeper.writes).toEqual([]);
    current = true;
    await keeper.elapse();
    expect(keeper.writes).toHaveLength(1);
  });

  it('repairs at once, and the more seldom the more often it is undone', async () => {
    const keeper = await start({ live: [] });
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      const before = keeper.writes.length;
      await keeper.change([]);
      const repaired = keeper.writes.length > before;
      waits.push(repaired ? 0 : keeper.waiting());
      if (!repaired) await keeper.elapse();
      expect(keeper.writes).toHaveLength(before + 1);
    }
    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it('tries again when a write fails, and says so', async () => {
    const keeper = await start({ live: [], failures: 1 });
    expect(keeper.log.lines.join()).toContain('the configuration could not be written');
    await keeper.elapse();
    expect(keeper.writes).toHaveLength(1);
  });

  it('says since when a CA is carried by every webhook', async () => {
    const keeper = await start({ live: written(['shop'], older) });
    expect(keeper.carriedSinceMs(older)).toBe(0);
    expect(keeper.carriedSinceMs(newer)).toBeUndefined();
    const [first, ...rest] = written(['shop'], [...newer, ...older]);
    await keeper.change([first ?? {}, ...rest.map((entry) => ({ ...entry, clientConfig: {} }))], { repair: false });
    expect(keeper.carriedSinceMs(newer)).toBeUndefined();
  });
});

interface Setting {
  readonly live: readonly JsonObject[];
  readonly askedAfresh?: () => Promise<Readonly<Record<string, string>> | undefined>;
  readonly current?: () => boolean;
  readonly failures?: number;
}

/** A keeper that knows `shop` and `older`, at rest after its first look. Its time stands still but for `elapse`. */
async function start({
  live: first,
  askedAfresh = async () => undefined,
  current = () => true,
  failures = 0,
}: Setting) {
  let webhooks: readonly JsonObject[] = first;
  let failuresLeft = failures;
  let nowMs = 0;
  let waitingMs = 0;
  let end: () => void = () => undefined;
  let atRest = Promise.withResolvers<void>();
  let tell: () => void = () => undefined;
  const writes: (readonly unknown[])[] = [];
  const log = recordingLog();
  const object = () => ({ metadata: { uid: 'u', resourceVersion: '1' }, webhooks });
  const keeper = createConfigurationKeeper({
    api: {
      listWatch: async ({ handlers, project }) => {
        tell = () => handlers.onChange('c', { type: 'set', value: project(object()) });
        tell();
        handlers.onSynced();
      },
      applyConfiguration: async (_, entriesNow) => {
        if ((failuresLeft -= 1) >= 0) throw new ControllerError('ApiUnavailable', 'no answer');
        webhooks = entriesNow.map(asObject);
        writes.push(namespacesIn(webhooks));
        return object();
      },
      rewriteConfiguration: async () => expect.unreachable('an apply is enough'),
    },
    configurationName: 'c',
    entrySettings: SETTINGS,
    namespaces: { optedIn: () => ['shop'], synced: () => true, current, askedAfresh },
    onLook: () => undefined,
    clock: {
      nowMs: () => nowMs,
      wallClock: () => new Date(NOW_MS),
      random: () => 0.5,
      sleep: (ms, signal) => {
        if (ms === 100) return Promise.resolve();
        waitingMs = ms;
        atRest.resolve();
        return new Promise((resolve) => {
          end = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      },
    },
    log,
    metrics: silentMetrics,
  });
  const rest = async (act: () => void) => {
    atRest = Promise.withResolvers();
    act();
    await atRest.promise;
  };
  keeper.useAuthorities(older);
  void keeper.run(new AbortController().signal);
  await atRest.promise;
  return {
    writes,
    log,
    live: () => webhooks,
    waiting: () => waitingMs,
    bundle: () =>
      certificatesIn(Buffer.from(String(asObject(asObject(webhooks[0]).clientConfig).caBundle), 'base64').toString()),
    carriedSinceMs: (authorities: readonly string[]) => keeper.carriedSinceMs(authorities),
    wake: () => rest(() => keeper.wake()),
    elapse: () =>
      rest(() => {
        nowMs += waitingMs;
        end();
      }),
    /** Somebody changes the webhooks, and the watch tells. */
    change: async (changed: readonly JsonObject[], { repair = true } = {}) => {
      webhooks = changed;
      if (repair) await rest(tell);
      else tell();
    },
  };
}

function written(namespaces: readonly string[], authorities: readonly string[]): readonly JsonObject[] {
  return entries({ namespaces, authorities }, SETTINGS);
}

function namespacesIn(webhooks: readonly JsonObject[]): readonly unknown[] {
  const entry = webhooks.find(({ name }) => name === NAMESPACES_ENTRY);
  return asList(asObject(asList(asObject(entry?.namespaceSelector).matchExpressions)[0]).values);
}
