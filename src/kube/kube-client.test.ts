import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApiServer, fakeApiServer } from './fake-api-server.ts';
import { createKubeClient, type KubeClientOptions } from './kube-client.ts';

const clock = {
  nowMs: () => 0,
  wallClock: () => new Date('2026-01-02T03:04:05.678Z'),
  random: () => 0,
  sleep: () => Promise.resolve(),
};
const event = {
  namespace: 'default',
  podName: 'a',
  podUid: 'uid',
  type: 'Warning' as const,
  reason: 'InvalidCapturePolicy',
  action: 'Refuse',
  note: 'port 0',
};

let server: FakeApiServer;
let client: ReturnType<typeof createKubeClient>;

beforeEach(async () => {
  server = await fakeApiServer();
  client = createKubeClient(options(server));
});

afterEach(async () => {
  client.close();
  await server.close();
});

describe('annotation patch', () => {
  const target = { path: '/api/v1/namespaces/default/pods/a/status', uid: 'uid', annotations: { x: 'y', z: null } };

  it('is a merge patch of annotations with the uid as a precondition, and nothing else of the object', async () => {
    const patching = client.patchAnnotations(target);
    const request = await server.next();
    expect([request.method, request.path]).toEqual(['PATCH', target.path]);
    expect(request.headers['content-type']).toBe('application/merge-patch+json');
    expect(JSON.parse(request.body)).toEqual({ metadata: { uid: 'uid', annotations: { x: 'y', z: null } } });
    request.reply(200, {});
    expect(await patching).toBe('patched');
  });

  it.each([
    [404, 'no'],
    [409, 'uid mismatch: the provided object specified uid u, and no existing object was found'],
    [422, 'Pod "a" is invalid: metadata.uid: Invalid value: "uid": field is immutable'],
  ])('says gone for %d: the pod is no longer this pod', async (status, message) => {
    const patching = client.patchAnnotations(target);
    (await server.next()).reply(status, { message });
    expect(await patching).toBe('gone');
  });

  it.each([
    [403, 'ApiRefused'],
    [409, 'ApiUnavailable'],
    [429, 'ApiUnavailable'],
    [500, 'ApiUnavailable'],
    [422, 'ApiReply'],
  ])('fails typed for %d, with the words of the server', async (status, code) => {
    const patching = client.patchAnnotations(target);
    (await server.next()).reply(status, { message: 'because of this' });
    await expect(patching).rejects.toMatchObject({ code, message: expect.stringContaining('because of this') });
  });

  it('uses one connection for many requests', async () => {
    for (let round = 0; round < 5; round += 1) {
      const patching = client.patchAnnotations(target);
      (await server.next()).reply(200, {});
      await patching;
    }
    expect(server.connections()).toBe(1);
  });
});

describe('Event', () => {
  it('carries what the API asks for, and a name that follows from what it says', async () => {
    const names: string[] = [];
    for (const said of [event, { ...event, podUid: 'other' }, { ...event, note: 'port 1' }]) {
      const creating = client.createEvent(said);
      const request = await server.next();
      const body = JSON.parse(request.body);
      names.push(body.metadata.name);
      expect(request.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events');
      expect(body).toMatchObject({
        eventTime: '2026-01-02T03:04:05.678000Z',
        reportingInstance: 'node-1',
        regarding: { kind: 'Pod', name: 'a', uid: said.podUid },
      });
      request.reply(201, {});
      await creating;
    }
    expect(new Set(names).size).toBe(3);
    const afterRestart = createKubeClient(options(server)).createEvent(event);
    const again = await server.next();
    expect(JSON.parse(again.body).metadata.name).toBe(names[0]);
    again.reply(409, { message: 'already exists' });
    await expect(afterRestart).resolves.toBeUndefined();
  });

  it('is sent once; again only if that failed', async () => {
    const failing = client.createEvent(event);
    (await server.next()).reply(500, { message: 'no' });
    await expect(failing).rejects.toMatchObject({ code: 'ApiUnavailable' });
    const created = client.createEvent(event);
    (await server.next()).reply(201, {});
    await created;
    await client.createEvent(event);
    const other = client.createEvent({ ...event, note: 'port 1' });
    expect(JSON.parse((await server.next()).body).note).toBe('port 1');
    client.close();
    await expect(other).rejects.toMatchObject({ code: 'ApiUnavailable' });
  });

  it('forgets the oldest of what it said, not the newest', async () => {
    const say = async (number: number) => {
      const creating = client.createEvent({ ...event, note: String(number) });
      (await server.next()).reply(201, {});
      await creating;
    };
    for (let number = 0; number < 4_097; number += 1) await say(number);
    await client.createEvent({ ...event, note: '4096' });
    await client.createEvent({ ...event, note: '1' });
    await say(0);
  });

  it('fits the limits of the API server, which counts bytes', async () => {
    const creating = createKubeClient({ ...options(server), nodeName: 'n'.repeat(200) }).createEvent({
      ...event,
      podName: `${'p'.repeat(229)}-${'q'.repeat(10)}`,
      note: 'ö'.repeat(3_000),
    });
    const request = await server.next();
    const { note, reportingInstance, metadata } = JSON.parse(request.body);
    expect(note).toMatch(/^ö+…$/);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
    expect(Buffer.byteLength(note)).toBeGreaterThan(1_020);
    expect(reportingInstance).toHaveLength(128);
    expect(metadata.name).toMatch(/^p{229}\.[0-9a-f]{16}$/);
    request.reply(201, {});
    await creating;
  });
});

function options(at: FakeApiServer): KubeClientOptions {
  return {
    baseUrl: at.url,
    credentials: { current: () => ({ token: 'secret', ca: '' }), refresh: () => undefined },
    observe: () => undefined,
    clock,
    nodeName: 'node-1',
  };
}
