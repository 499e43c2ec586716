import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from './fake-clock.ts';
import { recordHooks } from './fake-hooks.ts';
import {
  ContainerState,
  CreateContainerRequestSchema,
  Event,
  PodSandboxRequestSchema,
  type PodSandboxSchema,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
  SynchronizeResponseSchema,
} from './gen/nri_pb.ts';
import { createHookRunner } from './hook-runner.ts';
import { createMuxReader, muxFrames, PLUGIN_STREAM, RUNTIME_STREAM } from './mux.ts';
import type { PluginHooks } from './plugin-hooks.ts';
import { RECORDED } from './recorded.ts';
import { createPluginSession, PLUGIN_SERVICE } from './session.ts';
import { createTtrpcReader, decode, decodeResponse, encodeFailure, encodeReply, encodeRequest } from './ttrpc.ts';
import { CONTAINERS_MAX, SANDBOXES_MAX } from './told-collector.ts';

const POD: MessageInitShape<typeof PodSandboxSchema> = {
  id: 'a'.repeat(64),
  name: 'web',
  uid: 'uid-1',
  namespace: 'shop',
  labels: { app: 'web' },
  annotations: { 'sidecar.istio.io/status': '{}' },
  linux: { namespaces: [{ type: 'ipc' }, { type: 'network', path: '/var/run/netns/cni-1' }] },
  pid: 4_711,
  ips: ['192.0.2.7', 'not an address', '2001:db8::7'],
};

function start(overrides: Partial<PluginHooks> = {}) {
  const recorded = recordHooks(overrides);
  const clock = createFakeClock();
  const sent: Buffer[] = [];
  const stages: string[] = [];
  const session = createPluginSession({
    ...recorded,
    name: 'meshnode',
    index: '10',
    runner: createHookRunner({ ...recorded, clock }),
    send: (bytes) => void sent.push(bytes),
    configured: () => void stages.push('configured'),
    synchronized: (told) => {
      stages.push(`synchronized with ${told.runtime.name} ${told.runtime.version}`);
      recorded.synchronizations.push(told);
    },
  });
  let streamId = -1;
  /** Calls a method and gives the answers that are out when the microtasks are done. */
  async function call(method: string, payload: Uint8Array, service = PLUGIN_SERVICE) {
    streamId += 2;
    sent.length = 0;
    session.receive(
      muxFrames(PLUGIN_STREAM, encodeRequest(streamId, { service, method, payload, timeoutNano: 2_000_000_000n })),
    );
    await new Promise(setImmediate);
    return answersIn(sent).find((answer) => answer.streamId === streamId);
  }
  return { ...recorded, session, clock, sent, stages, call };
}

function answersIn(sent: readonly Buffer[]) {
  const answers: {
    readonly streamId: number;
    readonly code: number;
    readonly message: string;
    readonly payload: Uint8Array;
  }[] = [];
  const calls = createTtrpcReader((frame) => {
    const { status, payload } = decodeResponse(frame);
    answers.push({ streamId: frame.streamId, code: status?.code ?? 0, message: status?.message ?? '', payload });
  });
  const mux = createMuxReader((stream, bytes) => {
    if (stream === PLUGIN_STREAM) calls.push(bytes);
  });
  for (const bytes of sent) mux.push(bytes);
  return answers;
}

const podRequest = (pod = POD) => toBinary(PodSandboxRequestSchema, create(PodSandboxRequestSchema, { pod }));
const stateChange = (event: Event, pod = POD) =>
  toBinary(StateChangeEventSchema, create(StateChangeEventSchema, { event, pod }));

describe('the talk with a runtime', () => {
  it('is byte for byte what it was with containerd 2.3.4', () => {
    const { session, sent, stages } = start();
    session.register();
    expect(sent.splice(0).map(String)).toEqual([RECORDED.register.toString()]);
    session.receive(RECORDED.registered);
    expect(sent).toEqual([]);
    session.receive(RECORDED.configure);
    expect(sent.splice(0).map((bytes) => bytes.toString('hex'))).toEqual([RECORDED.configured.toString('hex')]);
    session.receive(RECORDED.synchronize);
    expect(sent.splice(0).map((bytes) => bytes.toString('hex'))).toEqual([RECORDED.synchronized.toString('hex')]);
    expect(stages).toEqual(['configured', 'synchronized with containerd 2.3.4+unknown']);
  });

  it('goes on when Configure overtakes the answer to the registration, as with containerd 1.7', () => {
    const { session, stages } = start();
    session.register();
    session.receive(Buffer.concat([RECORDED.configure, RECORDED.registered, RECORDED.synchronize]));
    expect(stages.length).toBe(2);
  });

  it('ends when the runtime refuses the plugin', () => {
    const { session } = start();
    session.register();
    const refused = Buffer.from('00000002000000140000000a00000001020' + '00a080802120462757379', 'hex');
    expect(() => session.receive(refused)).toThrow('refuses the plugin 10-meshnode: busy (code 2)');
  });

  it('tells a new sandbox, whichever of the two ways it comes, with what is of the right form', async () => {
    for (const [method, payload] of [
      ['RunPodSandbox', podRequest()],
      ['StateChange', stateChange(Event.RUN_POD_SANDBOX)],
    ] as const) {
      const told: unknown[] = [];
      const { call, calls } = start({ runPodSandbox: async (sandbox) => void told.push(sandbox) });
      expect(await call(method, payload)).toMatchObject({ code: 0, payload: new Uint8Array(0) });
      expect(calls).toEqual(['runPodSandbox web']);
      expect(told).toEqual([
        {
          id: 'a'.repeat(64),
          podName: 'web',
          podUid: 'uid-1',
          podNamespace: 'shop',
          labels: { app: 'web' },
          annotations: { 'sidecar.istio.io/status': '{}' },
          runtimeHandler: '',
          netnsPath: '/var/run/netns/cni-1',
          ips: ['192.0.2.7', '2001:db8::7'],
          pid: 4_711,
        },
      ]);
    }
  });

  it.each([
    ['no network namespace, as with host network', []],
    ['a network namespace without a path', [{ type: 'network' }]],
    ['a path that is relative', [{ type: 'network', path: 'netns/x' }]],
    ['a path that leads elsewhere', [{ type: 'network', path: '/var/run/netns/../../proc/1/ns/net' }]],
  ])('tells no netns for %s', async (_, namespaces) => {
    const paths: (string | undefined)[] = [];
    const { call } = start({ runPodSandbox: async ({ netnsPath }) => void paths.push(netnsPath) });
    await call('RunPodSandbox', podRequest({ ...POD, linux: { namespaces } }));
    expect(paths).toEqual([undefined]);
  });

  it('tells that a sandbox was stopped, and removed, both ways', async () => {
    const { call, calls } = start();
    const pod = { ...POD, id: 's1' };
    await call('StopPodSandbox', podRequest(pod));
    await call('RemovePodSandbox', podRequest(pod));
    await call('StateChange', stateChange(Event.STOP_POD_SANDBOX, pod));
    await call('StateChange', stateChange(Event.REMOVE_POD_SANDBOX, pod));
    const told = ['stopPodSandbox s1', 'removePodSandbox s1'];
    expect(calls).toEqual([...told, ...told]);
  });

  it('answers success for events it did not ask for, and for calls that tell of nothing', async () => {
    const { call, calls } = start();
    expect(await call('StateChange', Buffer.from('0806', 'hex'))).toMatchObject({ code: 0 });
    expect(await call('StateChange', Buffer.from('0863', 'hex'))).toMatchObject({ code: 0 });
    for (const method of [
      'StateChange',
      'RunPodSandbox',
      'StopPodSandbox',
      'RemovePodSandbox',
      'CreateContainer',
      'Shutdown',
    ]) {
      expect(await call(method, new Uint8Array(0)), method).toMatchObject({ code: 0 });
    }
    expect(calls).toEqual([]);
  });

  it('refuses a container with the words of the hook, and changes nothing in one it lets pass', async () => {
    let objection: string | undefined = 'no rules yet';
    const { call } = start({ createContainer: () => Promise.resolve(objection) });
    const request = create(CreateContainerRequestSchema, { pod: POD, container: { id: 'c', name: 'app' } });
    const payload = toBinary(CreateContainerRequestSchema, request);
    expect(await call('CreateContainer', payload)).toMatchObject({ code: 9, message: 'no rules yet' });
    objection = undefined;
    expect(await call('CreateContainer', payload)).toMatchObject({ code: 0, payload: new Uint8Array(0) });
  });

  it('answers while an earlier hook still runs, each under its own stream id', async () => {
    const first = Promise.withResolvers<void>();
    const { call, sent } = start({
      runPodSandbox: ({ podName }) => (podName === 'slow' ? first.promise : Promise.resolve()),
    });
    expect(await call('RunPodSandbox', podRequest({ ...POD, name: 'slow' }))).toBeUndefined();
    expect(await call('RunPodSandbox', podRequest())).toMatchObject({ streamId: 3 });
    first.resolve();
    await new Promise(setImmediate);
    expect(answersIn(sent).map(({ streamId }) => streamId)).toEqual([3, 1]);
  });

  it('says of methods and services it does not know that it does not know them', async () => {
    const { call } = start();
    const empty = new Uint8Array(0);
    for (const method of ['StartContainer', 'configure', '', 'constructor', '__proto__', 'x'.repeat(10_000)]) {
      expect(await call(method, empty), method).toMatchObject({ code: 12 });
    }
    expect(await call('RunPodSandbox', podRequest(), 'nri.pkg.api.v2.Plugin')).toMatchObject({ code: 12 });
  });

  it.each([
    [
      'a stream id of the callee',
      encodeRequest(2, { service: PLUGIN_SERVICE, method: 'Shutdown', payload: new Uint8Array(0) }),
    ],
    ['the stream id 0', encodeRequest(0, { service: PLUGIN_SERVICE, method: 'Shutdown', payload: new Uint8Array(0) })],
    ['an answer where calls come', encodeReply(1, new Uint8Array(0))],
    ['a call that cannot be read', Buffer.from('000000030000000101000a7f61', 'hex')],
    [
      'a sandbox that cannot be read',
      encodeRequest(1, { service: PLUGIN_SERVICE, method: 'RunPodSandbox', payload: Buffer.from('0a7f', 'hex') }),
    ],
    [
      'a container that cannot be read',
      encodeRequest(1, { service: PLUGIN_SERVICE, method: 'CreateContainer', payload: Buffer.from('0a7f', 'hex') }),
    ],
  ])('ends at %s', (_, frame) => {
    const { session, calls } = start();
    expect(() => session.receive(muxFrames(PLUGIN_STREAM, frame))).toThrow(
      expect.objectContaining({ code: 'RuntimeReply' }),
    );
    expect(calls).toEqual([]);
  });

  it('ends when a stream id comes again', async () => {
    const { call, session } = start();
    await call('Shutdown', new Uint8Array(0));
    const again = encodeRequest(1, { service: PLUGIN_SERVICE, method: 'Shutdown', payload: new Uint8Array(0) });
    expect(() => session.receive(muxFrames(PLUGIN_STREAM, again))).toThrow('stream id 1 after 1');
  });

  it('ends with nothing but that for a wire that was damaged anywhere, however it is cut', () => {
    const pod = encodeRequest(5, { service: PLUGIN_SERVICE, method: 'RunPodSandbox', payload: podRequest() });
    const whole = Buffer.concat([
      RECORDED.registered,
      RECORDED.configure,
      RECORDED.synchronize,
      muxFrames(PLUGIN_STREAM, pod),
    ]);
    const damage = fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.integer({ min: 1, max: whole.length }), (damages, step) => {
        const wire = Buffer.from(whole);
        for (const [at, byte] of damages) wire[at] = byte;
        const { session } = start();
        session.register();
        try {
          for (let at = 0; at < wire.length; at += step) session.receive(wire.subarray(at, at + step));
        } catch (error: unknown) {
          expect(error).toMatchObject({ code: 'RuntimeReply' });
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('does not mind an answer to something it did not ask', () => {
    const { session } = start();
    session.register();
    expect(() => session.receive(muxFrames(RUNTIME_STREAM, encodeFailure(77, 2, 'busy')))).not.toThrow();
  });
});

describe('Synchronize', () => {
  function part(pods: number, containers: number, more: boolean) {
    const request = create(SynchronizeRequestSchema, {
      pods: Array.from({ length: pods }, (_, index) => ({ id: `pod-${index}` })),
      containers: Array.from({ length: containers }, (_, index) => ({
        id: `c-${index}`,
        podSandboxId: 'pod-0',
        state: ContainerState.CONTAINER_RUNNING,
      })),
      more,
    });
    return toBinary(SynchronizeRequestSchema, request);
  }

  it('in parts is echoed part by part, and told once', async () => {
    const { call, synchronizations } = start();
    for (const [pods, containers, more] of [
      [2, 0, true],
      [1, 3, true],
      [0, 1, false],
    ] as const) {
      expect(synchronizations).toEqual([]);
      const answer = await call('Synchronize', part(pods, containers, more));
      expect(decode(SynchronizeResponseSchema, answer?.payload ?? new Uint8Array(0)).more).toBe(more);
    }
    expect(synchronizations.length).toBe(1);
    expect(synchronizations[0]?.sandboxes.map(({ id }) => id)).toEqual(['pod-0', 'pod-1', 'pod-0']);
    expect(synchronizations[0]?.containers.map(({ state }) => state)).toEqual([
      'running',
      'running',
      'running',
      'running',
    ]);
  });

  it('keeps a bounded number, and says what it left out', async () => {
    const { call, synchronizations, lines } = start();
    for (let index = 0; index < 6; index += 1) await call('Synchronize', part(1_000, 4_000, index < 5));
    expect(synchronizations[0]?.sandboxes.length).toBe(SANDBOXES_MAX);
    expect(synchronizations[0]?.containers.length).toBe(CONTAINERS_MAX);
    expect(lines).toEqual(['warn: the runtime tells of more sandboxes and containers than are kept']);
  });
});
