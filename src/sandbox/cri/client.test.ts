import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import type { SandboxRuntime } from '../sandbox.ts';
import { createCriRuntime } from './client.ts';
import { type FakeRuntime, type FakeSandbox, startFakeRuntime, type Trouble } from './fake-runtime.ts';
import { findCriSocket } from './find-socket.ts';
import { NamespaceMode } from './gen/api_pb.ts';
import { failureOf, says } from '../../../test/support/failures.ts';

const cleanUp: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const act of cleanUp.splice(0).toReversed()) await act();
});

describe('what the runtime is asked', () => {
  it("leaves the choice of one pod's ready sandboxes to the runtime", async () => {
    const { fake, runtime } = await start({
      sandboxes: [
        { id: 'a', podUid: 'u1' },
        { id: 'b', podUid: 'u2' },
      ],
    });
    expect((await runtime.listReady('u2')).map(({ id }) => id)).toEqual(['b']);
    const [request] = fake.requests.list;
    expect(request?.filter?.labelSelector).toEqual({ 'io.kubernetes.pod.uid': 'u2' });
    expect(request?.filter?.state?.state).toBe(0);
  });

  it('lists the whole node without a selector, and drops what is not ready', async () => {
    const sandboxes = [
      { id: 'a', podUid: 'u1' },
      { id: 'b', podUid: 'u2', ready: false },
    ];
    const { fake, runtime } = await start({ sandboxes });
    expect((await runtime.listReady()).map(({ id }) => id)).toEqual(['a']);
    expect(fake.requests.list[0]?.filter?.labelSelector).toEqual({});
  });

  it('asks verbosely for details and keeps one connection for all calls', async () => {
    const { fake, runtime } = await start({ sandboxes: [{ id: 'a', podUid: 'u1', attempt: 3 }] });
    expect(await runtime.details('a')).toEqual({
      id: 'a',
      podUid: 'u1',
      podName: 'pod-u1',
      podNamespace: 'shop',
      attempt: 3,
      ready: true,
      createdAtNs: 1_700_000_000_000_000_000n,
      netnsPath: undefined,
      hostNetwork: false,
      ips: [],
      pid: undefined,
      nameservers: undefined,
    });
    await Promise.all([runtime.version(), runtime.listReady()]);
    expect(fake.requests.status[0]?.verbose).toBe(true);
    expect(fake.sessionCount()).toBe(1);
  });
});

describe('details', () => {
  const info = JSON.stringify({
    pid: 12,
    runtimeSpec: { linux: { namespaces: [{ type: 'network', path: '/run/netns/x' }] } },
  });

  it('gives netns path, pid and all addresses', async () => {
    const network = { ip: '10.88.0.7', additionalIps: [{ ip: '2001:db8::7' }] };
    const { runtime } = await start({
      sandboxes: [{ id: 'a', podUid: 'u', network, info: { info } }],
    });
    expect(await runtime.details('a')).toMatchObject({
      netnsPath: '/run/netns/x',
      pid: 12,
      nameservers: undefined,
      ips: ['10.88.0.7', '2001:db8::7'],
      hostNetwork: false,
    });
  });

  it("never hands out the host's netns, whatever the spec says", async () => {
    const linux = { namespaces: { options: { network: NamespaceMode.NODE } } };
    const { runtime } = await start({
      sandboxes: [{ id: 'a', podUid: 'u', linux, info: { info } }],
    });
    expect(await runtime.details('a')).toMatchObject({ netnsPath: undefined, hostNetwork: true, ips: [] });
  });

  it('is undefined for a sandbox that is gone', async () => {
    const { runtime } = await start({});
    expect(await runtime.details('gone')).toBeUndefined();
  });

  it('refuses info that is not JSON', async () => {
    const { runtime } = await start({ sandboxes: [{ id: 'a', podUid: 'u', info: { info: '{' } }] });
    expect(await failureOf(runtime.details('a'))).toMatchObject(
      says('RuntimeReply', /verbose info of sandbox a is not JSON/),
    );
  });

  it('refuses info beyond the bound', async () => {
    const huge = 'x'.repeat(5 * 1024 * 1024);
    const { runtime } = await start({ sandboxes: [{ id: 'a', podUid: 'u', info: { info: huge } }] });
    expect(await failureOf(runtime.details('a'))).toMatchObject(says('RuntimeReply', /at most 4194304/));
  });

  it('refuses a reply beyond the message limit', async () => {
    const huge = 'x'.repeat(17 * 1024 * 1024);
    const { runtime } = await start({ sandboxes: [{ id: 'a', podUid: 'u', info: { info: huge } }] });
    expect(await failureOf(runtime.details('a'))).toMatchObject(says('RuntimeReply', /ResourceExhausted/));
  });
});

describe('failures', () => {
  it('names a socket that does not exist, and the way out', async () => {
    const runtime = open(join(await folder(), 'none.sock'));
    const error = await failureOf(runtime.version());
    expect(error).toMatchObject(says('RuntimeUnavailable', /none\.sock: does not exist \(ENOENT\)/));
    expect(error.hint).toContain('--cri-socket');
  });

  it('tells a socket that nobody listens on', async () => {
    const path = join(await folder(), 'plain');
    await writeFile(path, '');
    expect(await failureOf(open(path).version())).toMatchObject(
      says('RuntimeUnavailable', /plain: nobody listens on it \(ECONNREFUSED\)/),
    );
  });

  it('gives up on a runtime that accepts and says nothing', async () => {
    const path = join(await folder(), 'mute.sock');
    const server = createServer((socket) => cleanUp.push(() => void socket.destroy()));
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    cleanUp.push(() => void server.close());
    expect(await failureOf(open(path, { timeoutMs: 100 }).version())).toMatchObject(
      says('RuntimeUnavailable', /did not answer Version .* 100 ms/),
    );
  });

  it('gives up on a call that hangs, and the next call works', async () => {
    let hang = true;
    const { runtime } = await start({
      trouble: () => (hang ? new Promise(() => {}) : undefined),
      // The next call must be answered within it, on a busy machine too.
      timeoutMs: 1_000,
    });
    expect(await failureOf(runtime.listReady())).toMatchObject(
      says('RuntimeUnavailable', /did not answer ListPodSandbox/),
    );
    hang = false;
    expect(await runtime.listReady()).toEqual([]);
  });

  it('notices a runtime that dies during a call, and finds the restarted one', async () => {
    const arrived = Promise.withResolvers<void>();
    let hang = true;
    const { fake, runtime } = await start({
      trouble: () => {
        arrived.resolve();
        return hang ? new Promise(() => {}) : undefined;
      },
    });
    const call = runtime.listReady();
    const failed = failureOf(call);
    await arrived.promise;
    await fake.kill();
    expect(await failed).toMatchObject(says('RuntimeUnavailable', /ended during ListPodSandbox/));
    expect(await failureOf(runtime.listReady())).toMatchObject(says('RuntimeUnavailable', /cri\.sock: does not exist/));
    hang = false;
    await fake.restart();
    expect(await runtime.listReady()).toEqual([]);
  });

  it('tells a server that does not serve CRI v1', async () => {
    const { runtime } = await start({
      trouble: refuse(Code.Unimplemented, 'unknown service runtime.v1.RuntimeService'),
    });
    const error = await failureOf(runtime.version());
    expect(error).toMatchObject(says('RuntimeReply', /Unimplemented: unknown service/));
    expect(error.hint).toContain('CRI v1');
  });

  it('takes a containerd that still loads its state for away', async () => {
    const { runtime } = await start({ trouble: refuse(Code.Unknown, 'server is not initialized yet') });
    expect(await failureOf(runtime.listReady())).toMatchObject(says('RuntimeUnavailable', /still starting/));
  });

  it('passes on what the runtime refuses', async () => {
    const { runtime } = await start({ trouble: refuse(Code.Internal, 'boltdb is corrupt') });
    expect(await failureOf(runtime.listReady())).toMatchObject(
      says('RuntimeReply', /ListPodSandbox on .* with Internal: boltdb is corrupt/),
    );
  });

  it('fails calls under way and later ones once closed', async () => {
    const { runtime } = await start({ trouble: () => new Promise(() => {}) });
    const call = failureOf(runtime.listReady());
    runtime.close();
    expect(await call).toMatchObject(says('RuntimeUnavailable', /ended during ListPodSandbox/));
    expect(await failureOf(runtime.listReady())).toMatchObject(
      says('RuntimeUnavailable', /ended during ListPodSandbox/),
    );
  });
});

describe('findCriSocket', () => {
  it('takes the only socket that exists', async () => {
    const { fake } = await start({});
    expect(await findCriSocket(['/nonexistent/a.sock', fake.socketPath])).toBe(fake.socketPath);
  });

  it('passes over a socket that serves no CRI', async () => {
    const docker = await start({ trouble: refuse(Code.Unimplemented, 'unknown service') });
    const { fake } = await start({});
    expect(await findCriSocket([docker.fake.socketPath, fake.socketPath])).toBe(fake.socketPath);
  });

  it('names what it tried', async () => {
    const path = join(await folder(), 'plain-file');
    await writeFile(path, '');
    expect(await failureOf(findCriSocket(['/nonexistent/a.sock', path]))).toMatchObject(
      says('RuntimeUnavailable', /a\.sock, .*plain-file/),
    );
  });
});

async function start(options: {
  readonly sandboxes?: readonly FakeSandbox[];
  readonly trouble?: Trouble;
  readonly timeoutMs?: number;
}): Promise<{ readonly fake: FakeRuntime; readonly runtime: SandboxRuntime }> {
  const fake = await startFakeRuntime(options);
  cleanUp.push(() => fake.close());
  return { fake, runtime: open(fake.socketPath, options) };
}

function open(socketPath: string, options: { readonly timeoutMs?: number } = {}): SandboxRuntime {
  const runtime = createCriRuntime({ socketPath, timeoutMs: options.timeoutMs ?? 5_000 });
  cleanUp.push(() => runtime.close());
  return runtime;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cri-client-'));
  cleanUp.push(() => rm(path, { recursive: true }));
  return path;
}

function refuse(code: Code, message: string): Trouble {
  return () => Promise.reject(new ConnectError(message, code));
}
