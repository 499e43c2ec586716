import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type PluginClock, systemClock } from './clock.ts';
import { recordHooks } from './fake-hooks.ts';
import { type FakeNriOptions, type FakeNriRuntime, startFakeNriRuntime } from './fake-nri-runtime.ts';
import { muxFrames } from './mux.ts';
import type { PluginHooks } from './plugin-hooks.ts';
import { RETRY_MS, runPlugin } from './plugin.ts';
import { encodeRequest } from './ttrpc.ts';

const POD = { id: 'sandbox-1', name: 'web', uid: 'uid-1', namespace: 'shop' };
/** Between the listening socket and the synchronized plugin, on a machine that has other things to do; a slow look takes 1 s. */
const PROMPT_MS = 500;

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

async function startRuntime(options: FakeNriOptions = {}): Promise<FakeNriRuntime> {
  const runtime = await startFakeNriRuntime(options);
  endings.push(() => runtime.close());
  return runtime;
}

function startPlugin(socketPath: string, overrides: Partial<PluginHooks> = {}, clock: PluginClock = systemClock) {
  const recorded = recordHooks(overrides);
  const abort = new AbortController();
  const name = 'istio-pod-network-controller';
  const running = runPlugin({ ...recorded, socketPath, name, index: '10', clock }, abort.signal);
  const end = async () => {
    abort.abort();
    await running;
  };
  endings.push(end);
  return { ...recorded, end };
}

/** Time that passes `factor` times as fast. */
/** `waits`: gets every time that was waited for. */
function hastyClock(factor: number, waits: number[] = []): PluginClock {
  return {
    nowMs: () => systemClock.nowMs() * factor,
    after: (ms, act) => {
      waits.push(ms);
      return systemClock.after(ms / factor, act);
    },
  };
}

describe('the plugin', () => {
  it('registers, asks for the four events it needs, and is told what there is before anything else', async () => {
    const runtime = await startRuntime({
      parts: [{ pods: [POD], containers: [{ id: 'c', podSandboxId: POD.id, name: 'app' }] }],
    });
    const { calls, synchronizations, observed } = startPlugin(runtime.socketPath);
    const plugin = await runtime.plugin();
    expect(plugin).toMatchObject({ name: 'istio-pod-network-controller', index: '10', events: 0b1111 });
    expect(await plugin.runPodSandbox(POD)).toMatchObject({ code: 0 });
    expect(calls).toEqual(['connected true', 'synchronized', 'runPodSandbox web']);
    expect(synchronizations[0]).toMatchObject({
      sandboxes: [{ id: 'sandbox-1', podName: 'web', podUid: 'uid-1', podNamespace: 'shop' }],
      containers: [{ id: 'c', sandboxId: 'sandbox-1', name: 'app', state: 'unknown' }],
      runtime: { name: 'fake', version: '1.2.3' },
    });
    expect(observed).toEqual(['connected']);
  });

  it('waits for nothing more once it is synchronized', async () => {
    const runtime = await startRuntime();
    const waits = new Set<symbol>();
    const after: PluginClock['after'] = (ms, act) => {
      const wait = Symbol(String(ms));
      waits.add(wait);
      const cancel = systemClock.after(ms, act);
      return () => {
        waits.delete(wait);
        cancel();
      };
    };
    const { calls } = startPlugin(runtime.socketPath, {}, { ...systemClock, after });
    await runtime.plugin();
    expect(calls).toContain('synchronized');
    expect(waits).toEqual(new Set());
  });

  it('gives a runtime that took it in the time to end what it is starting', async () => {
    // As if 30 s had passed.
    const runtime = await startRuntime({ synchronizesAfterMs: 300 });
    startPlugin(runtime.socketPath, {}, hastyClock(100));
    await runtime.plugin();
    expect(runtime.connectionCount()).toBe(1);
  });

  it('understands a runtime whose words come byte by byte', async () => {
    const runtime = await startRuntime({
      chunkBytes: 1,
      configuresFirst: true,
      parts: [{ pods: [POD] }, { pods: [POD] }, {}],
    });
    const { synchronizations } = startPlugin(runtime.socketPath);
    const plugin = await runtime.plugin();
    expect(synchronizations.map(({ sandboxes }) => sandboxes.length)).toEqual([2]);
    expect(await plugin.createContainer(POD, { name: 'app' })).toMatchObject({ code: 0 });
  });

  it('ends at once, and says so, when it is told to end', async () => {
    const runtime = await startRuntime();
    const { end, calls, observed } = startPlugin(runtime.socketPath);
    const plugin = await runtime.plugin();
    await end();
    await plugin.link.closed;
    expect(calls.at(-1)).toBe('connected false');
    // Our own end is no loss.
    expect(observed).toEqual(['connected']);
    expect(runtime.connectionCount()).toBe(1);
  });

  it('answers a hook that does not end before the runtime loses patience, and stays connected', async () => {
    const runtime = await startRuntime({ requestTimeoutMs: 600 });
    const never = () => new Promise<never>(() => {});
    const { answers } = startPlugin(runtime.socketPath, {
      runPodSandbox: never,
      createContainer: never,
      mustDecide: () => true,
    });
    const plugin = await runtime.plugin();
    expect(await plugin.runPodSandbox(POD)).toMatchObject({ code: 0 });
    const refusal = { code: 9, message: 'not decided in time' };
    expect(await plugin.createContainer(POD, { name: 'app' })).toMatchObject(refusal);
    expect(answers.map(({ outcome }) => outcome)).toEqual(['late', 'late']);
    expect(runtime.connectionCount()).toBe(1);
  });
});

describe('the plugin comes back', () => {
  it('when the runtime was stopped and started again', async () => {
    const runtime = await startRuntime();
    const { calls, observed, lines } = startPlugin(runtime.socketPath);
    const first = await runtime.plugin();
    await runtime.stop();
    await first.link.closed;
    await vi.waitFor(() => expect(observed).toEqual(['connected', 'lost']));
    expect(existsSync(runtime.socketPath)).toBe(false);
    // From here on it waits for the socket, and not for its next attempt.
    await vi.waitFor(() => expect(lines.at(-1)).toBe('info: no NRI socket, waiting for one'));
    await runtime.start();
    const listeningMs = performance.now();
    await runtime.plugin();
    const tookMs = performance.now() - listeningMs;
    console.log(`synchronized ${tookMs.toFixed(0)} ms after the socket was back`);
    expect(tookMs).toBeLessThan(PROMPT_MS);
    expect(calls).toEqual(['connected true', 'synchronized', 'connected false', 'connected true', 'synchronized']);
  });

  it('when the runtime closes the connection', async () => {
    const runtime = await startRuntime();
    const { observed, lines } = startPlugin(runtime.socketPath);
    (await runtime.plugin()).link.close();
    await runtime.plugin();
    expect(observed).toEqual(['connected', 'lost', 'connected']);
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual(['warn: the NRI connection was lost']);
  });

  it('when somebody listens again on a socket that was left behind', async () => {
    const runtime = await startRuntime();
    await runtime.stop();
    await leaveSocketBehind(runtime.socketPath);
    const { lines } = startPlugin(runtime.socketPath);
    await vi.waitFor(() => expect(lines).toEqual(['info: nobody listens on the NRI socket yet']));
    await rm(runtime.socketPath);
    await runtime.start();
    const listeningMs = performance.now();
    await runtime.plugin();
    expect(performance.now() - listeningMs).toBeLessThan(PROMPT_MS);
  });

  it('when it was connected to something mute', async () => {
    const runtime = await startRuntime({ isMute: (connection) => connection === 1 });
    const { observed, lines } = startPlugin(runtime.socketPath, {}, hastyClock(100));
    await runtime.plugin();
    expect(observed).toEqual(['rejected', 'connected']);
    expect(lines[0]).toBe('warn: no NRI connection');
  });

  it('when the runtime broke the protocol', async () => {
    const runtime = await startRuntime();
    const { observed } = startPlugin(runtime.socketPath);
    (await runtime.plugin()).link.write(Buffer.from('00000001ffffffff', 'hex'));
    await runtime.plugin();
    expect(observed).toEqual(['connected', 'lost', 'connected']);
  });

  it('when the runtime asks and asks and does not read the answers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nri-deaf-'));
    endings.push(() => rm(folder, { recursive: true }));
    const method = 'x'.repeat(2_000);
    const calls = Array.from({ length: 4_000 }, (_, index) =>
      muxFrames(1, encodeRequest(2 * index + 1, { service: '', method, payload: new Uint8Array(0) })),
    );
    const deaf = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      socket.write(Buffer.concat(calls));
    });
    deaf.listen(join(folder, 'nri.sock'));
    const { observed, end } = startPlugin(join(folder, 'nri.sock'));
    // Long before it would be found mute.
    await vi.waitFor(() => expect(observed).toContain('rejected'), { timeout: 5_000 });
    await end();
    deaf.close();
  });

  it('ever more slowly to a runtime that does not want it, with one line for all attempts', async () => {
    const runtime = await startRuntime({ refusal: () => 'no such plugins here' });
    const waits: number[] = [];
    const { lines, observed } = startPlugin(runtime.socketPath, {}, hastyClock(10, waits));
    await vi.waitFor(() => expect(runtime.connectionCount()).toBe(6), { timeout: 10_000 });
    // Beside the patience with each connection, which is longer than any of these.
    expect(waits.filter((ms) => ms <= 16 * RETRY_MS)).toEqual([1, 2, 4, 8, 16].map((times) => times * RETRY_MS));
    expect(lines).toEqual(['warn: no NRI connection']);
    expect(new Set(observed)).toEqual(new Set(['rejected']));
  });
});

describe('the plugin waits for a socket', () => {
  it('whose folder is not there yet', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nri-wait-'));
    endings.push(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, 'nri', 'nri.sock');
    const { lines, calls } = startPlugin(socketPath, {}, hastyClock(10));
    await vi.waitFor(() => expect(lines).toEqual(['info: no NRI socket, waiting for one']));
    await mkdir(join(folder, 'nri'));
    const runtime = await startRuntime();
    await rename(runtime.socketPath, socketPath);
    await runtime.plugin();
    expect(calls).toContain('synchronized');
  });

  it('and ends at once when it is told to end', async () => {
    const { end, lines, calls } = startPlugin(join(tmpdir(), 'no-such-folder', 'nri.sock'));
    await vi.waitFor(() => expect(lines.length).toBe(1));
    const startedMs = performance.now();
    await end();
    expect(performance.now() - startedMs).toBeLessThan(200);
    expect(calls).toEqual([]);
  });
});

/** The file of a socket whose listener is gone. */
async function leaveSocketBehind(socketPath: string): Promise<void> {
  const server = createServer();
  server.listen(`${socketPath}.new`);
  await once(server, 'listening');
  await rename(`${socketPath}.new`, socketPath);
  server.close();
  await once(server, 'close');
}
