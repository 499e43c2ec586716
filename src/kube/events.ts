import { createHash } from 'node:crypto';
import { cutToBytes } from '../cut-text.ts';
import { isControllerError } from '../errors.ts';
import { statusOf } from './api-errors.ts';
import type { Transport } from './request.ts';
import type { PodEvent } from './types.ts';

const REPORTING_CONTROLLER = 'pod-network-controller.istio.io/agent';
/** The API server refuses longer ones. It says "characters" and counts bytes. */
const NOTE_BYTES_MAX = 1_024;
const WORD_BYTES_MAX = 128;
/** A pod's name may have 253 characters, and so may an Event's. */
const NAME_PREFIX_CHARACTERS_MAX = 230;
/** Pods of a node times what is said about one. What is forgotten is sent once more and refused as a duplicate. */
const SAID_MAX = 4_096;

export interface EventSinkOptions {
  readonly transport: Transport;
  readonly wallClock: () => Date;
  readonly nodeName: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Creates Events, each at most once. Throws what the transport throws; what failed may be said again. */
export function createEventSink(options: EventSinkOptions): (event: PodEvent) => Promise<void> {
  const { transport, timeoutMs, signal } = options;
  const said = new Set<string>();
  return async (event) => {
    const name = nameOf(event);
    const id = `${event.namespace}/${name}`;
    if (said.has(id)) return;
    const path = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(event.namespace)}/events`;
    const body = { contentType: 'application/json', json: eventObject(event, name, options) };
    try {
      await transport.write({ method: 'POST', verb: 'create', resource: 'events', path, body, timeoutMs }, signal);
    } catch (error: unknown) {
      if (!isControllerError(error) || statusOf(error) !== 409) throw error;
    }
    remember(said, id);
  };
}

/** Follows from what is said: saying it again, also after a restart, is refused as a duplicate and costs nothing. */
function nameOf({ podName, podUid, type, reason, note }: PodEvent): string {
  const content = createHash('sha256')
    .update(JSON.stringify([podUid, type, reason, note]))
    .digest('hex');
  // Each part between dots has to end in a letter or digit.
  const prefix = podName.slice(0, NAME_PREFIX_CHARACTERS_MAX).replace(/[-.]+$/, '');
  return `${prefix}.${content.slice(0, 16)}`;
}

function eventObject(event: PodEvent, name: string, { wallClock, nodeName }: EventSinkOptions): object {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: event.namespace },
    // Microseconds, which JavaScript does not have.
    eventTime: `${wallClock().toISOString().slice(0, -1)}000Z`,
    reportingController: REPORTING_CONTROLLER,
    // A node's name may have 253 characters.
    reportingInstance: nodeName.slice(0, WORD_BYTES_MAX),
    action: event.action,
    reason: event.reason,
    type: event.type,
    note: cutToBytes(event.note, NOTE_BYTES_MAX),
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: event.namespace, name: event.podName, uid: event.podUid },
  };
}

function remember(said: Set<string>, id: string): void {
  said.add(id);
  const [oldest] = said;
  if (said.size > SAID_MAX && oldest !== undefined) said.delete(oldest);
}
