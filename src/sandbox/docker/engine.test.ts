import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ANSWER_BYTES_MAX, createDockerEngine, type DockerEngine } from './engine.ts';
import { type EngineTrouble, type FakeContainer, startFakeEngine } from './fake-engine.ts';
import { failureOf, says } from '../../../test/support/failures.ts';

const ID = `${'6823b820e4ba'.repeat(5)}3a9b`;
const cleanUp: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const act of cleanUp.splice(0).toReversed()) await act();
});

describe('inspect', () => {
  it('tells the netns and the pid of a running container', async () => {
    const { engine, requests } = await start({ sandboxKey: '/var/run/docker/netns/3a9b8d259b9b', pid: 11_089 });
    expect(await engine.inspect(ID)).toEqual({
      running: true,
      netnsPath: '/var/run/docker/netns/3a9b8d259b9b',
      pid: 11_089,
    });
    expect(requests).toEqual([`/containers/${ID}/json`]);
  });

  it('knows no netns of a container that has stopped', async () => {
    const { engine } = await start({ running: false });
    expect(await engine.inspect(ID)).toEqual({ running: false, netnsPath: undefined, pid: undefined });
  });

  it('is undefined for a container that is not there', async () => {
    const { engine } = await start({});
    expect(await engine.inspect('0'.repeat(64))).toBeUndefined();
  });

  it('takes the folder of another exec root', async () => {
    const { engine } = await start({ sandboxKey: '/mnt/docker-run/netns/3a9b8d259b9b' });
    expect(await engine.inspect(ID)).toMatchObject({ netnsPath: '/mnt/docker-run/netns/3a9b8d259b9b' });
  });

  it.each([0, -1, 1.5])('takes pid %j for unknown', async (pid) => {
    const { engine } = await start({ pid });
    expect(await engine.inspect(ID)).toMatchObject({ running: true, pid: undefined });
  });

  it.each(['', 'abc', `${'a'.repeat(63)}G`, `${'a'.repeat(60)}/../`, `${'a'.repeat(64)}/json?x=`])(
    'asks nothing about the id %j',
    async (id) => {
      const { engine, requests } = await start({});
      expect(await failureOf(engine.inspect(id))).toMatchObject(says('RuntimeReply', /which is no id of Docker's/));
      expect(requests).toEqual([]);
    },
  );

  it.each([
    ["that is the host's", '/var/run/docker/netns/default'],
    ['that is relative', 'var/run/docker/netns/3a9b8d259b9b'],
    ['that climbs', '/var/run/docker/../netns/3a9b8d259b9b'],
    ['with a NUL', '/var/run\0/netns/3a9b8d259b9b'],
    ['of a process', '/proc/1/ns/net'],
    ['with an end of its own', '/var/run/docker/netns/3a9b8d259b9b/x'],
  ])('refuses a netns path %s', async (_, sandboxKey) => {
    const { engine } = await start({ sandboxKey });
    expect(await failureOf(engine.inspect(ID))).toMatchObject(
      says('RuntimeReply', /names the netns ".*", not a file of twelve hex digits/),
    );
  });

  it('tells a running container without a netns', async () => {
    const { engine } = await start({ sandboxKey: '' });
    const error = await failureOf(engine.inspect(ID));
    expect(error).toMatchObject(says('RuntimeReply', /SandboxKey is empty/));
    expect(error.hint).toContain('--network-plugin=cni');
  });
});

describe('answers that cannot be used', () => {
  it.each([
    ['is not JSON', '{', /is not JSON/],
    [
      'is another object',
      '{"State":{"Running":"yes"}}',
      /is not what GET \/containers\/ID\/json gives: State\.Running/,
    ],
    ['is a list', '[]', /is not what GET/],
  ])('refuses one that %s', async (_, body, message) => {
    const { engine } = await start({}, (response) => void response.end(body));
    expect(await failureOf(engine.inspect(ID))).toMatchObject(says('RuntimeReply', message));
  });

  it('passes on what Docker says is wrong', async () => {
    const { engine } = await start({}, (response) => {
      response.statusCode = 500;
      response.end('{"message":"layer\\nis corrupt"}');
    });
    expect(await failureOf(engine.inspect(ID))).toMatchObject(
      says('RuntimeReply', /HTTP status 500 .*: layer is corrupt$/),
    );
  });

  it('does not take a server that knows no such path for one that knows no such container', async () => {
    const { engine } = await start({}, (response) => {
      response.statusCode = 404;
      response.end('404 page not found');
    });
    expect(await failureOf(engine.inspect(ID))).toMatchObject(says('RuntimeReply', /status 404 .*page not found/));
  });

  it('refuses one beyond the bound, however it comes', async () => {
    const piece = Buffer.alloc(64 * 1024, ' ');
    const { engine } = await start({}, (response) => {
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    });
    expect(await failureOf(engine.inspect(ID))).toMatchObject(
      says('RuntimeReply', new RegExp(`larger than ${ANSWER_BYTES_MAX} bytes`)),
    );
  });
});

describe('no answer', () => {
  it('names a socket that does not exist, and the way out', async () => {
    const error = await failureOf(open(join(await folder(), 'none.sock')).inspect(ID));
    expect(error).toMatchObject(says('RuntimeUnavailable', /Docker's socket .*none\.sock: does not exist \(ENOENT\)/));
    expect(error.hint).toContain('agent.docker.enabled=true');
    expect(error.hint).toContain('--docker-socket');
  });

  it('tells a socket that nobody listens on', async () => {
    const path = join(await folder(), 'plain');
    await writeFile(path, '');
    expect(await failureOf(open(path).inspect(ID))).toMatchObject(says('RuntimeUnavailable', /nobody listens on it/));
  });

  it.each([
    ['says nothing', () => undefined],
    ['never ends its answer', (response: Parameters<EngineTrouble>[0]) => void response.write('{')],
  ])('gives up on a daemon that %s', async (_, trouble) => {
    const { engine } = await start({}, trouble, 200);
    expect(await failureOf(engine.inspect(ID))).toMatchObject(
      says('RuntimeUnavailable', /did not answer on .* within 200 ms/),
    );
  });

  it('notices a daemon that goes in the middle of its answer', async () => {
    const { engine } = await start({}, (response) => {
      response.setHeader('content-length', 100);
      response.write('{"State":');
      response.on('drain', () => undefined);
      setImmediate(() => response.destroy());
    });
    expect(await failureOf(engine.inspect(ID))).toMatchObject(says('RuntimeUnavailable', /ended before its answer/));
  });

  it('notices a server that does not speak HTTP', async () => {
    const path = join(await folder(), 'other.sock');
    const server = createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n'));
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    cleanUp.push(() => void server.close());
    expect(await failureOf(open(path).inspect(ID))).toMatchObject(
      says('RuntimeUnavailable', /ended before its answer/),
    );
  });

  it('fails calls under way and later ones once closed', async () => {
    const arrived = Promise.withResolvers<void>();
    const { engine } = await start({}, () => arrived.resolve());
    const call = failureOf(engine.inspect(ID));
    await arrived.promise;
    engine.close();
    expect(await call).toMatchObject(says('RuntimeUnavailable', /ended before its answer/));
    expect(await failureOf(engine.inspect(ID))).toMatchObject(says('RuntimeUnavailable', /ended before its answer/));
  });
});

async function start(
  container: FakeContainer,
  trouble?: EngineTrouble,
  timeoutMs = 5_000,
): Promise<{ readonly engine: DockerEngine; readonly requests: readonly string[] }> {
  const fake = await startFakeEngine({ containers: { [ID]: container }, ...(trouble && { trouble }) });
  cleanUp.push(() => fake.close());
  return { engine: open(fake.socketPath, timeoutMs), requests: fake.requests };
}

function open(socketPath: string, timeoutMs = 5_000): DockerEngine {
  const engine = createDockerEngine({ socketPath, timeoutMs });
  cleanUp.push(() => engine.close());
  return engine;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'docker-engine-'));
  cleanUp.push(() => rm(path, { recursive: true }));
  return path;
}
