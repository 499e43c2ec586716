import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type FakeSandbox, startFakeRuntime } from '../src/sandbox/cri/fake-runtime.ts';
import { startApiServer } from './agent-api-server.ts';
import { makePod, NODE_NAME, type NodePod, removeNetns } from './agent-node.ts';

const READY_POLL_MS = 50;

/** An agent as a process of its own, on a node where only its netns are real. */
export interface AgentProcess {
  readonly pid: number;
  /** One more pod; resolves with the milliseconds from its event to the agent's report. */
  addPod(): Promise<number>;
  /** Metrics of the agent by name, without labels; 0 if it has none of that name. */
  metrics(...names: readonly string[]): Promise<readonly number[]>;
  stop(): Promise<void>;
}

/** `command` is what stands in front of the verb `run`, `env` all variables besides those of a pod. */
export async function startAgent(
  name: string,
  options: {
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly metricsPort: number;
  },
): Promise<AgentProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-agent-'));
  const sandboxes: FakeSandbox[] = [];
  const pods: NodePod[] = [];
  const runtime = await startFakeRuntime({ sandboxes });
  const api = await startApiServer(folder);
  writeFileSync(join(folder, 'token'), 'token');
  writeFileSync(join(folder, 'namespace'), 'istio-system');
  const [program = '', ...words] = options.command;
  const flags = [
    `--cri-socket=${runtime.socketPath}`,
    `--service-account-dir=${folder}`,
    `--metrics-port=${options.metricsPort}`,
  ];
  const log = join(folder, 'log');
  const child: ChildProcess = spawn(program, [...words, 'run', ...flags], {
    stdio: ['ignore', openSync(log, 'w'), 'inherit'],
    env: { ...options.env, NODE_NAME, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) },
  });
  const exit = once(child, 'exit');

  async function get(path: string): Promise<Response> {
    return await fetch(`http://127.0.0.1:${options.metricsPort}${path}`);
  }
  async function isReady(): Promise<boolean> {
    return await get('/readyz').then(
      ({ ok }) => ok,
      () => false,
    );
  }
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
    await pause(READY_POLL_MS);
  }
  return {
    pid: child.pid ?? 0,
    addPod: async () => {
      const pod = makePod(`pnc-bench-${name}`, pods.length);
      pods.push(pod);
      sandboxes.push(pod.sandbox);
      return await api.add(pod);
    },
    metrics: async (...names) => {
      const text = await (await get('/metrics')).text();
      return names.map((wanted) => Number(new RegExp(`^${wanted} (\\S+)$`, 'm').exec(text)?.[1] ?? 0));
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exit;
      api.close();
      await runtime.close();
      removeNetns(pods);
      rmSync(folder, { recursive: true });
    },
  };
}
