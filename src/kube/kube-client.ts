import { createHash } from 'node:crypto';
import { isControllerError } from '../errors.ts';
import type { Credentials } from './credentials.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes, listWatch } from './list-watch.ts';
import { createTransport, statusOf } from './request.ts';
import type { Clock, KubeClient, PodEvent, RequestObserver } from './types.ts';

const REPORTING_CONTROLLER = 'pod-network-controller.istio.io/agent';
const FIELD_MANAGER = 'istio-pod-network-controller';
const WRITE_TIMEOUT_MS = 10_000;
/** The API server refuses longer notes. It says "characters" and counts bytes. */
const NOTE_BYTES_MAX = 1_024;

export interface KubeClientOptions {
  readonly baseUrl: URL;
  readonly credentials: Credentials;
  readonly observe: RequestObserver;
  readonly clock: Clock;
  /** Reporting instance of Events. */
  readonly nodeName: string;
  readonly times?: ListWatchTimes;
}

/** The client and a way to end its connections. Writes in flight at that moment are given up. */
export function createKubeClient(options: KubeClientOptions): KubeClient & { close(): void } {
  const transport = createTransport(options);
  const closing = new AbortController();
  const dependencies = { transport, clock: options.clock, times: options.times ?? LIST_WATCH_TIMES };
  return {
    listWatch: (request, signal) => listWatch(request, dependencies, signal),
    patchAnnotations: async ({ path, uid, annotations }) => {
      // The uid in the patch is a precondition: for a pod of the same name made anew the API server answers 422, `metadata.uid: … immutable`.
      const body = { contentType: 'application/merge-patch+json', json: { metadata: { uid, annotations } } };
      const query = { fieldManager: FIELD_MANAGER };
      try {
        await transport.json(
          { method: 'PATCH', verb: 'patch', resource: 'pods', path, query, body, timeoutMs: WRITE_TIMEOUT_MS },
          closing.signal,
        );
        return 'patched';
      } catch (error: unknown) {
        if (saysGone(error)) return 'gone';
        throw error;
      }
    },
    createEvent: async (event) => {
      const path = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(event.namespace)}/events`;
      const body = { contentType: 'application/json', json: eventObject(event, options) };
      try {
        await transport.json(
          { method: 'POST', verb: 'create', resource: 'events', path, body, timeoutMs: WRITE_TIMEOUT_MS },
          closing.signal,
        );
      } catch (error: unknown) {
        if (!isControllerError(error) || statusOf(error) !== 409) throw error;
      }
    },
    close: () => {
      closing.abort(new Error('the agent ends'));
      transport.close();
    },
  };
}

/** There is no such pod, or another one has its name. */
function saysGone(error: unknown): boolean {
  const status = statusOf(error);
  if (status === 422) return error instanceof Error && error.message.includes('metadata.uid: Invalid value');
  return status === 404 || status === 409;
}

/** The name follows from what is said: saying it again, also after a restart, is refused as a duplicate and costs nothing. */
function eventObject(event: PodEvent, { clock, nodeName }: KubeClientOptions): object {
  const said = createHash('sha256')
    .update(JSON.stringify([event.podUid, event.type, event.reason, event.note]))
    .digest('hex');
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    // A pod's name may have 253 characters, and so may an Event's.
    metadata: {
      name: `${event.podName.slice(0, 230).replace(/[-.]+$/, '')}.${said.slice(0, 16)}`,
      namespace: event.namespace,
    },
    eventTime: `${clock.wallClock().toISOString().slice(0, -1)}000Z`,
    reportingController: REPORTING_CONTROLLER,
    reportingInstance: nodeName,
    action: event.action,
    reason: event.reason,
    type: event.type,
    note: cutToBytes(event.note, NOTE_BYTES_MAX),
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: event.namespace, name: event.podName, uid: event.podUid },
  };
}

function cutToBytes(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const ellipsis = '…';
  // A character cut in two decodes to U+FFFD.
  const kept = Buffer.from(text).subarray(0, bytesMax - Buffer.byteLength(ellipsis));
  return kept.toString('utf8').replace(/\uFFFD$/, '') + ellipsis;
}
