import { INITIALIZE_ANNOTATION } from '../../enrollment/decide.ts';
import { ControllerError, messageOf } from '../../errors.ts';
import { parseNamespace } from '../../pod/parse-pod.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { ClusterApi } from './cluster-api.ts';
import type { Namespaces } from './types.ts';

type Annotations = Readonly<Record<string, string>>;

/** A copy of the whole object, up to 256 KiB, and nothing we read. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** Reviews that wait for a Namespace the watch does not know; more are refused. Twice what one address may have under way. */
const ASKING_MAX = 64;

/** A running watch of all Namespaces. */
export interface WatchedNamespaces extends Namespaces {
  /** Until `signal` aborts; `onChange` after every change of the opted-in ones, and once they are all known. */
  run(onChange: () => void, signal: AbortSignal): Promise<void>;
}

/** Of each Namespace only the annotations are kept. */
export function createNamespaces(options: {
  readonly api: Pick<ClusterApi, 'listWatch' | 'failing' | 'namespace'>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count'>;
}): WatchedNamespaces {
  const { api, log, metrics } = options;
  const known = new Map<string, Annotations>();
  const asking = new Map<string, Promise<Annotations | undefined>>();
  let synced = false;

  /** One request a Namespace, however many pods wait for it. */
  function askedAfresh(name: string): Promise<Annotations | undefined> {
    const under = asking.get(name);
    if (under !== undefined) return under;
    if (asking.size >= ASKING_MAX) {
      return Promise.reject(
        new ControllerError('ApiUnavailable', `too many Namespaces are being read; ${name} was not`),
      );
    }
    const answer = api
      .namespace(name)
      .then((object) => (object === undefined ? undefined : annotationsIn(object)))
      .finally(() => asking.delete(name));
    asking.set(name, answer);
    return answer;
  }

  async function annotationsOf(name: string): Promise<Annotations> {
    const found = known.get(name) ?? (await askedAfresh(name));
    if (found === undefined) throw new ControllerError('ApiUnavailable', `there is no Namespace ${name}`);
    return found;
  }

  return {
    annotationsOf,
    askedAfresh,
    optedIn: () => [...known].flatMap(([name, annotations]) => (saysYes(annotations) ? [name] : [])).toSorted(),
    synced: () => synced,
    current: () => synced && !api.failing('namespaces'),
    run: (onChange, signal) =>
      api.listWatch(
        {
          path: '/api/v1/namespaces',
          resource: 'namespaces',
          project: annotationsIn,
          handlers: {
            onChange: (name, change) => {
              metrics.count('watchEvents', { resource: 'namespaces', type: change.type });
              const before = saysYes(known.get(name));
              if (change.type === 'set') known.set(name, change.value);
              else known.delete(name);
              if (synced && before !== saysYes(known.get(name))) onChange();
            },
            onSynced: () => {
              synced = true;
              onChange();
            },
            onUnusable: (name, error) => log.error('Namespace cannot be used', { name, error: messageOf(error) }),
            onTrouble: (error, retryInMs) => {
              const fields = { resource: 'namespaces', error: messageOf(error), retryInMs: Math.round(retryInMs) };
              log.warn('watch interrupted', fields);
            },
          },
        },
        signal,
      ),
  };
}

function saysYes(annotations: Annotations | undefined): boolean {
  return annotations?.[INITIALIZE_ANNOTATION] === 'true';
}

function annotationsIn(object: unknown): Annotations {
  const { [LAST_APPLIED]: _, ...annotations } = parseNamespace(object).annotations;
  return annotations;
}
