import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxRuntime } from '../sandbox.ts';
import { createCriRuntime } from './client.ts';
import { type FakeRuntime, startFakeRuntime } from './fake-runtime.ts';

/** What holds for every runtime: the same checks for the fake one of the tests and for a real one, where there is one. */
const REAL = [process.env.ISTIO_PNC_CRI_SOCKET, resolve(import.meta.dirname, '../../../.lab/containerd.sock')].find(
  (path) => path !== undefined && path !== '' && existsSync(path),
);
if (REAL === undefined) {
  console.log('no real container runtime: set ISTIO_PNC_CRI_SOCKET or bring the lab up to run its contract tests');
}

describe('the fake runtime', () => {
  let fake: FakeRuntime;
  const info = JSON.stringify({
    pid: 7,
    config: { dns_config: { servers: ['10.96.0.10'] } },
    runtimeSpec: { linux: { namespaces: [{ type: 'network', path: '/run/netns/x' }] } },
  });
  beforeAll(async () => {
    const sandbox = { id: 'a'.repeat(64), podUid: 'uid', network: { ip: '10.88.0.7' }, info: { info } };
    fake = await startFakeRuntime({ sandboxes: [sandbox] });
  });
  afterAll(() => fake.close());
  keepsTheContract(() => fake.socketPath);
});

describe.skipIf(REAL === undefined)('a real runtime', () => {
  keepsTheContract(() => REAL ?? '');
});

function keepsTheContract(socketPath: () => string): void {
  let runtime: SandboxRuntime;
  beforeAll(() => {
    runtime = createCriRuntime({ socketPath: socketPath() });
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
      expect(details).toMatchObject(listed);
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
