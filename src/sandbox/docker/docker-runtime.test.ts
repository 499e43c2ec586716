import { describe, expect, it } from 'vitest';
import { ControllerError } from '../../errors.ts';
import type { SandboxDetails, SandboxRuntime } from '../sandbox.ts';
import { withDockerNetns } from './docker-runtime.ts';
import type { DockerEngine } from './engine.ts';
import type { EngineContainer } from './engine-answer.ts';

const NETNS = '/var/run/docker/netns/3a9b8d259b9b';
const RUNNING: EngineContainer = { running: true, netnsPath: NETNS, pid: 12 };

describe('a sandbox of cri-dockerd', () => {
  it('gets its netns and pid from Docker', async () => {
    const { runtime, world } = scene({});
    expect(await runtime.details('a')).toMatchObject({ ready: true, netnsPath: NETNS, pid: 12, ips: ['10.88.0.7'] });
    expect(world.inspected).toEqual(['a']);
  });

  it('is not ready before its network is, and Docker is not asked', async () => {
    const { runtime, world } = scene({ details: { ips: [] } });
    expect(await runtime.details('a')).toMatchObject({ ready: false, netnsPath: undefined });
    expect(world.inspected).toEqual([]);
  });

  it('that stops between the two questions is not ready', async () => {
    const { runtime } = scene({ container: { running: false, netnsPath: undefined, pid: undefined } });
    expect(await runtime.details('a')).toMatchObject({ ready: false, netnsPath: undefined });
  });

  it('that goes between the two questions is gone', async () => {
    const { runtime } = scene({ container: undefined });
    expect(await runtime.details('a')).toBeUndefined();
  });

  it('with the network of the host needs no netns', async () => {
    const { runtime, world } = scene({ details: { hostNetwork: true, ips: [] } });
    expect(await runtime.details('a')).toMatchObject({ ready: true, hostNetwork: true, netnsPath: undefined });
    expect(world.inspected).toEqual([]);
  });

  it('cannot be captured while Docker does not answer: the error says why', async () => {
    const away = new ControllerError('RuntimeUnavailable', 'nobody listens');
    const { runtime } = scene({ container: away });
    await expect(runtime.details('a')).rejects.toBe(away);
  });
});

describe('who the runtime is', () => {
  it('is asked once, and again after a failure', async () => {
    const { runtime, world } = scene({ versionFails: 1 });
    await expect(runtime.details('a')).rejects.toMatchObject({ code: 'RuntimeUnavailable' });
    await runtime.details('a');
    await runtime.details('a');
    expect(world.versions).toBe(2);
  });

  it('is not asked where the netns is known', async () => {
    const { runtime, world } = scene({ name: 'containerd', details: { netnsPath: '/var/run/netns/x' } });
    expect(await runtime.details('a')).toMatchObject({ netnsPath: '/var/run/netns/x' });
    expect(world).toMatchObject({ versions: 0, inspected: [] });
  });

  it('leaves the answers of another runtime alone that names no netns', async () => {
    const { runtime, world } = scene({ name: 'kata-of-its-own', details: { ips: [] } });
    expect(await runtime.details('a')).toMatchObject({ ready: true, netnsPath: undefined });
    expect(world.inspected).toEqual([]);
  });
});

it('closes both connections', () => {
  const { runtime, world } = scene({});
  runtime.close();
  expect(world.closed).toEqual(['cri', 'docker']);
});

interface Scene {
  readonly name?: string;
  readonly details?: Partial<SandboxDetails>;
  readonly container?: EngineContainer | ControllerError | undefined;
  readonly versionFails?: number;
}

function scene(given: Scene) {
  const world = { versions: 0, inspected: [] as string[], closed: [] as string[] };
  const sandbox: SandboxDetails = {
    id: 'a',
    podUid: 'u',
    podName: 'web',
    podNamespace: 'shop',
    attempt: 0,
    ready: true,
    createdAtNs: 1n,
    netnsPath: undefined,
    hostNetwork: false,
    ips: ['10.88.0.7'],
    pid: undefined,
    nameservers: undefined,
    ...given.details,
  };
  const cri: SandboxRuntime = {
    version: () => {
      world.versions += 1;
      if (world.versions <= (given.versionFails ?? 0))
        return Promise.reject(new ControllerError('RuntimeUnavailable', 'still starting'));
      return Promise.resolve({ name: given.name ?? 'docker', version: '26.1.5' });
    },
    listReady: () => Promise.resolve([sandbox]),
    details: () => Promise.resolve(sandbox),
    close: () => world.closed.push('cri'),
  };
  const container = 'container' in given ? given.container : RUNNING;
  const engine: DockerEngine = {
    inspect: (id) => {
      world.inspected.push(id);
      return container instanceof ControllerError ? Promise.reject(container) : Promise.resolve(container);
    },
    close: () => world.closed.push('docker'),
  };
  return { runtime: withDockerNetns(cri, engine), world };
}
