import { create, toBinary } from '@bufbuild/protobuf';
import type { Log } from '../../telemetry/log.ts';
import {
  ConfigureRequestSchema,
  ConfigureResponseSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  Event,
  type PodSandbox,
  PodSandboxRequestSchema,
  RegisterPluginRequestSchema,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
  SynchronizeResponseSchema,
} from './gen/nri_pb.ts';
import { hookBudgetMs, type HookRunner } from './hook-runner.ts';
import { createMuxReader, muxFrames, PLUGIN_STREAM, RUNTIME_STREAM } from './mux.ts';
import type { PluginHooks, ToldState } from './plugin-hooks.ts';
import { toldContainer, toldSandbox } from './told.ts';
import { createToldCollector } from './told-collector.ts';
import * as ttrpc from './ttrpc.ts';
import { wireError } from './wire-error.ts';

/** One connection's talk with the runtime, from registration on. Knows nothing of sockets. */
export interface PluginSession {
  /** The first thing to do. */
  register(): void;
  /** Throws `RuntimeReply` when the runtime breaks the protocol or does not want us: the connection is of no use any more. */
  receive(chunk: Buffer): void;
}

export const RUNTIME_SERVICE = 'nri.pkg.api.v1alpha1.Runtime';
export const PLUGIN_SERVICE = 'nri.pkg.api.v1alpha1.Plugin';

/** Bit n-1 for event n. These four are known to every version; a bit that is not makes the runtime close the connection. */
const SUBSCRIBED_EVENTS = [
  Event.RUN_POD_SANDBOX,
  Event.STOP_POD_SANDBOX,
  Event.REMOVE_POD_SANDBOX,
  Event.CREATE_CONTAINER,
].reduce((mask, event) => mask | (1 << (event - 1)), 0);
const REGISTER_STREAM_ID = 1;
const EMPTY = new Uint8Array(0);

/** A text makes it a failure of the precondition: other codes are taken for something else (12: the method is unknown). */
type Answer = { readonly payload: Uint8Array } | { readonly objection: string };
const DONE: Answer = { payload: EMPTY };

interface Call {
  readonly payload: Uint8Array;
  readonly timeoutNano: bigint;
}

export function createPluginSession(options: {
  readonly name: string;
  readonly index: string;
  readonly hooks: Pick<PluginHooks, 'stopPodSandbox' | 'removePodSandbox'>;
  readonly runner: HookRunner;
  readonly log: Log;
  readonly send: (bytes: Buffer) => void;
  /** The runtime took us in; Synchronize comes when the pods it is starting have started. */
  readonly configured: () => void;
  /** Synchronize was answered. */
  readonly synchronized: (told: ToldState) => void;
}): PluginSession {
  const { hooks, runner, log } = options;
  const collector = createToldCollector(log);
  const calls = ttrpc.createTtrpcReader(receiveCall);
  const replies = ttrpc.createTtrpcReader(receiveReply);
  const mux = createMuxReader((stream, bytes) => (stream === PLUGIN_STREAM ? calls : replies).push(bytes));
  let runtime = { name: '', version: '' };
  let requestTimeoutMs = 0n;
  let lastStreamId = 0;

  const methods: Readonly<Record<string, (call: Call) => Answer | Promise<Answer>>> = {
    Configure: ({ payload }) => {
      const told = ttrpc.decode(ConfigureRequestSchema, payload);
      runtime = { name: told.runtimeName, version: told.runtimeVersion };
      requestTimeoutMs = told.requestTimeout;
      options.configured();
      const reply = create(ConfigureResponseSchema, { events: SUBSCRIBED_EVENTS });
      return { payload: toBinary(ConfigureResponseSchema, reply) };
    },
    RunPodSandbox: (call) => runPodSandbox(podIn(call), call),
    StopPodSandbox: (call) => stopPodSandbox(podIn(call)),
    RemovePodSandbox: (call) => removePodSandbox(podIn(call)),
    StateChange: (call) => {
      const { event, pod } = ttrpc.decode(StateChangeEventSchema, call.payload);
      if (event === Event.RUN_POD_SANDBOX) return runPodSandbox(pod, call);
      if (event === Event.STOP_POD_SANDBOX) return stopPodSandbox(pod);
      if (event === Event.REMOVE_POD_SANDBOX) return removePodSandbox(pod);
      return DONE;
    },
    CreateContainer: (call) => createContainer(ttrpc.decode(CreateContainerRequestSchema, call.payload), call),
    Shutdown: () => DONE,
  };

  function budgetMs({ timeoutNano }: Call): number {
    return hookBudgetMs(timeoutNano, requestTimeoutMs);
  }

  async function runPodSandbox(pod: PodSandbox | undefined, call: Call): Promise<Answer> {
    if (pod !== undefined) await runner.runPodSandbox(toldSandbox(pod), budgetMs(call));
    return DONE;
  }

  async function createContainer({ pod, container }: CreateContainerRequest, call: Call): Promise<Answer> {
    if (pod === undefined || container === undefined) return DONE;
    const objection = await runner.createContainer(toldSandbox(pod), toldContainer(container), budgetMs(call));
    return objection === undefined ? DONE : { objection };
  }

  function stopPodSandbox(pod: PodSandbox | undefined): Answer {
    if (pod !== undefined) runner.tell('stopPodSandbox', () => hooks.stopPodSandbox(pod.id));
    return DONE;
  }

  function removePodSandbox(pod: PodSandbox | undefined): Answer {
    if (pod !== undefined) runner.tell('removePodSandbox', () => hooks.removePodSandbox(pod.id));
    return DONE;
  }

  /** While there is more, the runtime closes the connection unless the answer says so too. */
  function synchronize(streamId: number, payload: Uint8Array): void {
    const part = ttrpc.decode(SynchronizeRequestSchema, payload);
    collector.add(part);
    const reply = create(SynchronizeResponseSchema, { more: part.more });
    sendCallAnswer(ttrpc.encodeReply(streamId, toBinary(SynchronizeResponseSchema, reply)));
    if (!part.more) options.synchronized({ ...collector.take(), runtime });
  }

  function receiveCall(frame: ttrpc.TtrpcFrame): void {
    const { streamId } = frame;
    if (frame.type !== ttrpc.REQUEST_TYPE) throw wireError(`sent a message of type ${frame.type} where it calls`);
    if (streamId % 2 === 0 || streamId <= lastStreamId) {
      throw wireError(`called with the stream id ${streamId} after ${lastStreamId}`);
    }
    lastStreamId = streamId;
    const request = ttrpc.decodeRequest(frame);
    const isOurs = request.service === PLUGIN_SERVICE;
    if (isOurs && request.method === 'Synchronize') {
      synchronize(streamId, request.payload);
      return;
    }
    const method = isOurs && Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    if (method === undefined) {
      const what = `${request.service}/${request.method}`;
      sendCallAnswer(ttrpc.encodeFailure(streamId, ttrpc.UNIMPLEMENTED, `unknown method ${what}`));
      return;
    }
    const answer = method(request);
    if (answer instanceof Promise) void answerLater(streamId, answer);
    else sendAnswer(streamId, answer);
  }

  /** What cannot be read was thrown before there was a promise, and the runner's never reject. */
  async function answerLater(streamId: number, answer: Promise<Answer>): Promise<void> {
    sendAnswer(streamId, await answer);
  }

  function sendAnswer(streamId: number, answer: Answer): void {
    if ('payload' in answer) sendCallAnswer(ttrpc.encodeReply(streamId, answer.payload));
    else sendCallAnswer(ttrpc.encodeFailure(streamId, ttrpc.FAILED_PRECONDITION, answer.objection));
  }

  function sendCallAnswer(frame: Buffer): void {
    options.send(muxFrames(PLUGIN_STREAM, frame));
  }

  /** The one call we make is the registration: whatever else is answered was not asked. */
  function receiveReply(frame: ttrpc.TtrpcFrame): void {
    if (frame.type !== ttrpc.RESPONSE_TYPE || frame.streamId !== REGISTER_STREAM_ID) return;
    const { status } = ttrpc.decodeResponse(frame);
    if (status === undefined || status.code === 0) return;
    throw wireError(`refuses the plugin ${options.index}-${options.name}: ${status.message} (code ${status.code})`);
  }

  return {
    register: () => {
      const registration = create(RegisterPluginRequestSchema, { pluginName: options.name, pluginIdx: options.index });
      const payload = toBinary(RegisterPluginRequestSchema, registration);
      const request = { service: RUNTIME_SERVICE, method: 'RegisterPlugin', payload };
      options.send(muxFrames(RUNTIME_STREAM, ttrpc.encodeRequest(REGISTER_STREAM_ID, request)));
    },
    receive: (chunk) => mux.push(chunk),
  };
}

function podIn({ payload }: Call): PodSandbox | undefined {
  return ttrpc.decode(PodSandboxRequestSchema, payload).pod;
}
