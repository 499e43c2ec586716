import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withDockerNetns } from '../docker/docker-runtime.ts';
import { createDockerEngine } from '../docker/engine.ts';
import { type FakeEngine, startFakeEngine } from '../docker/fake-engine.ts';
import type { SandboxRuntime } from '../sandbox.ts';
import { createCriRuntime } from './client.ts';
import { type FakeRuntime, startFakeRuntime } from './fake-runtime.ts';
import { POD_SANDBOX, RECORDED, type RecordedRuntime } from './recorded.ts';

/** What holds for every runtime: the same checks for the answers of those that were recorded, and for a real one, where there is one. */
const REAL = [process.env.ISTIO_PNC_CRI_SOCKET, resolve(import.meta.dirname, '../../../.lab/containerd.sock')].find(
  (path) => path !== undefined && path !== '' && existsSync(path),
);
const DOCKER = process.env.ISTIO_PNC_DOCKER_SOCKET ?? resolve(import.meta.dirname, '../../../.lab/docker.sock');
if (REAL === undefined) {
  console.log('no real container runtime: set ISTIO_PNC_CRI_SOCKET or bring the lab up to run its contract tests');
}

describe.each(Object.entries(RECORDED))('%s', (_, recorded) => {
  let fake: FakeRuntime;
  let engine: FakeEngine;
  beforeAll(async () => {
    const { sandboxes, ...ways } = recorded;
    fake = await startFakeRuntime({ sandboxes, ways });
    engine = await startFakeEngine({ containers: { [POD_SANDBOX]: {} } });
  });
  afterAll(() => Promise.all([fake.close(), engine.close()]));

  keepsTheContract(() => [fake.socketPath, engine.socketPath]);
  namesTheNetns(recorded, () => [fake.socketPath, engine.socketPath]);
  it('asks Docker only where the runtime is Docker', () => {
    expect(engine.requests.length > 0).toBe(recorded.name === 'docker');
  });
});

describe.skipIf(REAL === undefined)('a real runtime', () => {
  keepsTheContract(() => [REAL ?? '', DOCKER]);
});

type Sockets = readonly [cri: string, docker: string];

function open([criSocket, dockerSocket]: Sockets): SandboxRuntime {
  return withDockerNetns(createCriRuntime({ socketPath: criSocket }), createDockerEngine({ socketPath: dockerSocket }));
}

function namesTheNetns(recorded: RecordedRuntime, sockets: () => Sockets): void {
  it('names the netns that the runtime, or Docker, said', async () => {
    const runtime = open(sockets());
    const { netnsPath } = (await runtime.details(POD_SANDBOX)) ?? {};
    expect(netnsPath).toBe(recorded.netnsPath ?? `/var/run/docker/netns/${POD_SANDBOX.slice(-12)}`);
    runtime.close();
  });
}

function keepsTheContract(sockets: () => Sockets): void {
  let runtime: SandboxRuntime;
  beforeAll(() => {
    runtime = open(sockets());
  });
  afterAll(() => runtime.close());

  it('says who it is', async () => {
    const { name, version } = await runtime.version();
    expect(name).not.toBe('');
    expect(version).not.toBe('');
  });

  it('knows no sandbox under an id that was never given out', async () => {
    expect(await runtime.details('0'.repeat(64))).toBeUndefined();
  });

  it('lists nothing for a pod it never ran', async () => {
    expect(await runtime.listReady('00000000-0000-4000-8000-000000000000')).toEqual([]);
  });

  it('describes every ready sandbox as it lists it, with a netns unless the pod uses the host network', async () => {
    for (const listed of await runtime.listReady()) {
      const details = await runtime.details(listed.id);
      // It may have gone between the two calls.
      if (details?.ready !== true) continue;
      const { createdAtNs, ...same } = listed;
      expect(details).toMatchObject(same);
      // cri-dockerd lists whole seconds.
      expect(seconds(details.createdAtNs)).toBe(seconds(createdAtNs));
      expect(listed.podUid).not.toBe('');
      expect(details.netnsPath === undefined).toBe(details.hostNetwork);
      expect(details.ips.length > 0).toBe(!details.hostNetwork);
      const ofPod = await runtime.listReady(listed.podUid);
      expect(ofPod.every(({ podUid }) => podUid === listed.podUid)).toBe(true);
      if ((await runtime.details(listed.id))?.ready !== true) continue;
      expect(ofPod.map(({ id }) => id)).toContain(listed.id);
    }
  });
}

function seconds(ns: bigint): bigint {
  return ns / 1_000_000_000n;
}
