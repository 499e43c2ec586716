import { INITIALIZE_ANNOTATION } from '../../enrollment/decide.ts';
import { messageOf } from '../../errors.ts';
import { statusOf } from '../../kube/api-errors.ts';
import type { Clock } from '../../kube/types.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { asObject, asString, type JsonObject } from '../json.ts';
import { mergedAuthorities } from './certificate.ts';
import { type ClusterApi, CONFIGURATIONS, type ConfigurationVersion } from './cluster-api.ts';
import { entries, type EntrySettings, NAMESPACES_MAX, type Standing, standing } from './configuration.ts';
import { createPulse } from './pulse.ts';
import type { Namespaces, Registration } from './types.ts';
import { watchOne } from './watch-one.ts';

/** Keeps one MutatingWebhookConfiguration as it should be. */
export interface ConfigurationKeeper {
  /** Until `signal` aborts. Never throws for what may pass. */
  run(signal: AbortSignal): Promise<void>;
  /** Something it depends on has changed. */
  wake(): void;
  /** The CAs it should carry; undefined where somebody else keeps them. Before this was called nothing is written. */
  useAuthorities(authorities: readonly string[] | undefined): void;
  /** Since when (monotonic) the API server has had our entries, all with one of these CAs if there are any; undefined if it has not. */
  carriedSinceMs(anchors: readonly string[]): number | undefined;
}

export interface KeeperOptions {
  readonly api: Pick<ClusterApi, 'listWatch' | 'applyConfiguration' | 'rewriteConfiguration'>;
  readonly configurationName: string;
  readonly entrySettings: EntrySettings;
  readonly namespaces: Pick<Namespaces, 'optedIn' | 'synced' | 'current' | 'askedAfresh'>;
  /** Called whenever what `carriedSinceMs` says may have changed. */
  readonly onLook: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count'>;
}

/** Changes that come together are written together. */
const GATHER_MS = 100;
/** Between repairs of what others changed back: as long again each time, up to the longest; forgotten after a quiet while. */
const REPAIR_FIRST_MS = 1_000;
const REPAIR_LONGEST_MS = 30_000;
const QUIET_MS = 60_000;
/** Namespaces read afresh in one round before they are taken out; the others stay until the next one. */
const CONFIRMED_MAX = 20;
const LOOK_AGAIN_MS = 30_000;

/**
 * Every replica does this, with no leader: the apply is idempotent and the content follows from the cluster's state alone, so the second
 * one writes nothing (the API server drops a write without a change). Where two replicas see different states for a moment, nothing is
 * taken away on the word of one: a CA that is still valid stays (mergedAuthorities), and a Namespace is taken out only after it has been
 * read afresh. Replicas of two versions during a rollout may want different entries; each can serve the other's, repairs get rarer the
 * more often they are undone, and the last one standing is the new version.
 */
export function createConfigurationKeeper(options: KeeperOptions): ConfigurationKeeper {
  const { api, configurationName: name, clock, log, metrics } = options;
  const pulse = createPulse(clock.sleep);
  let live: unknown;
  let listed = false;
  /** Null until there is a certificate. */
  let offered: Registration['authorities'] | null = null;
  let applied = '';
  let repairs = 0;
  let repairNotBeforeMs = 0;
  const since = new Map<string, number>();

  function look(object: unknown): void {
    live = object;
    const { carried } = standing(object, []);
    for (const pem of since.keys()) if (!carried.includes(pem)) since.delete(pem);
    for (const pem of carried) if (!since.has(pem)) since.set(pem, clock.nowMs());
    options.onLook();
  }

  /** One round; gives the time until the next, if nothing happens before. */
  async function round(): Promise<number> {
    if (!listed || offered === null || !options.namespaces.synced()) return LOOK_AGAIN_MS;
    if (live === undefined) {
      log.error('the MutatingWebhookConfiguration is missing: no pod is sent here; install the chart again', { name });
      return LOOK_AGAIN_MS;
    }
    // What an old view lacks, another replica may have written: it must not be undone.
    if (!options.namespaces.current()) return REPAIR_FIRST_MS;
    const before = standing(live, []);
    const { names, unconfirmed } = await namespacesFor(before);
    const authorities =
      offered === undefined ? undefined : mergedAuthorities(offered, before.mentioned, clock.wallClock().getTime());
    const wanted = entries({ namespaces: names, authorities }, options.entrySettings);
    if (names.length > NAMESPACES_MAX) {
      log.error('too many Namespaces are opted in: pods of the last ones come without a gate', { at: NAMESPACES_MAX });
    }
    const again = unconfirmed ? REPAIR_FIRST_MS : LOOK_AGAIN_MS;
    if (standing(live, wanted).equal) {
      if (clock.nowMs() - repairNotBeforeMs > QUIET_MS) repairs = 0;
      applied = JSON.stringify(wanted);
      return again;
    }
    const repair = applied === JSON.stringify(wanted);
    if (repair && clock.nowMs() < repairNotBeforeMs) return repairNotBeforeMs - clock.nowMs();
    if (repair) {
      repairNotBeforeMs = clock.nowMs() + Math.min(REPAIR_FIRST_MS * 2 ** Math.min(repairs, 10), REPAIR_LONGEST_MS);
      repairs += 1;
    }
    await write(wanted);
    applied = JSON.stringify(wanted);
    metrics.count('webhookConfigurationWrites', { result: repair ? 'repair' : 'update' });
    log.info(repair ? 'configuration repaired' : 'configuration written', { name, namespaces: names.length });
    return again;
  }

  /** An apply leaves what others have added to our webhooks, such as a condition that is never met: then they are written over. */
  async function write(wanted: readonly JsonObject[]): Promise<void> {
    look(await api.applyConfiguration(version(live, name), wanted));
    if (standing(live, wanted).equal) return;
    log.warn('others have changed our webhooks: they are written over', { name });
    const others = standing(live, wanted).others;
    look(await api.rewriteConfiguration(version(live, name), [...wanted, ...others]));
  }

  /** The opted-in Namespaces, and those matched now that could not be confirmed to be no longer. */
  async function namespacesFor(before: Standing): Promise<{ names: readonly string[]; unconfirmed: boolean }> {
    const known = options.namespaces.optedIn();
    const leaving = before.namespaces.filter(
      (candidate) => !known.includes(candidate) && !options.entrySettings.excludedNamespaces.includes(candidate),
    );
    const stay = [...leaving.slice(CONFIRMED_MAX)];
    for (const candidate of leaving.slice(0, CONFIRMED_MAX)) if (await stillAsks(candidate)) stay.push(candidate);
    return { names: [...known, ...stay], unconfirmed: stay.length > 0 };
  }

  async function stillAsks(candidate: string): Promise<boolean> {
    try {
      const annotations = await options.namespaces.askedAfresh(candidate);
      return annotations?.[INITIALIZE_ANNOTATION] === 'true';
    } catch (error: unknown) {
      log.warn('a Namespace stays matched until it can be read', { namespace: candidate, error: messageOf(error) });
      return true;
    }
  }

  async function keep(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let nextMs = LOOK_AGAIN_MS;
    while (!signal.aborted) {
      await pulse.next(nextMs, signal);
      await clock.sleep(GATHER_MS, signal);
      if (signal.aborted) return;
      try {
        nextMs = await round();
        failures = 0;
      } catch (error: unknown) {
        nextMs = Math.min(REPAIR_FIRST_MS * 2 ** Math.min(failures, 10), REPAIR_LONGEST_MS) * (0.5 + clock.random());
        failures += 1;
        // Another replica, or whoever changed it, was first: what it is now comes with the watch.
        if (statusOf(error) === 409) continue;
        metrics.count('webhookConfigurationWrites', { result: 'failed' });
        log.error('the configuration could not be written', { name, error: messageOf(error), retryInMs: nextMs });
      }
    }
  }

  function follow(signal: AbortSignal): Promise<void> {
    return watchOne<unknown>(
      {
        ...{ api, name, log },
        path: CONFIGURATIONS,
        resource: 'mutatingwebhookconfigurations',
        project: (object) => object,
        onChange: (object) => {
          look(object);
          pulse.beat();
        },
        onSynced: () => {
          listed = true;
          pulse.beat();
        },
      },
      signal,
    );
  }

  return {
    run: async (signal) => void (await Promise.all([follow(signal), keep(signal)])),
    wake: () => pulse.beat(),
    useAuthorities: (authorities) => {
      offered = authorities;
      pulse.beat();
    },
    carriedSinceMs: (anchors) => {
      if (!standing(live, []).registered) return undefined;
      if (anchors.length === 0) return 0;
      const times = anchors.flatMap((pem) => since.get(pem) ?? []);
      return times.length === 0 ? undefined : Math.min(...times);
    },
  };
}

function version(configuration: unknown, name: string): ConfigurationVersion {
  const { uid, resourceVersion } = asObject(asObject(configuration).metadata);
  return { name, uid: asString(uid), resourceVersion: asString(resourceVersion) };
}
