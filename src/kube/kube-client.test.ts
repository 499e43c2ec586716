import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiServerUrl, serviceAccountCredentials } from './credentials.ts';
import { type FakeApiServer, fakeApiServer } from './fake-api-server.ts';
import { createKubeClient } from './kube-client.ts';

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
  client = createKubeClient({
    baseUrl: server.url,
    credentials: { current: () => ({ token: 'secret', ca: '' }), refresh: () => undefined },
    observe: () => undefined,
    clock,
    nodeName: 'node-1',
  });
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
    [409, 'no'],
    [422, 'Pod "a" is invalid: metadata.uid: Invalid value: "uid": field is immutable'],
  ])('says gone for %d: the pod is no longer this pod', async (status, message) => {
    const patching = client.patchAnnotations(target);
    (await server.next()).reply(status, { message });
    expect(await patching).toBe('gone');
  });

  it.each([
    [403, 'ApiRefused'],
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
    for (const note of ['port 0', 'port 0', 'port 1']) {
      const creating = client.createEvent({ ...event, note });
      const request = await server.next();
      const body = JSON.parse(request.body);
      names.push(body.metadata.name);
      expect(request.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events');
      expect(body).toMatchObject({
        eventTime: '2026-01-02T03:04:05.678000Z',
        reportingInstance: 'node-1',
        regarding: { kind: 'Pod', name: 'a', uid: 'uid' },
      });
      request.reply(201, {});
      await creating;
    }
    expect(names[0]).toBe(names[1]);
    expect(names[0]).not.toBe(names[2]);
  });

  it('takes one that exists already for done, and cuts a long note', async () => {
    const creating = client.createEvent({ ...event, note: 'ö'.repeat(3_000) });
    const request = await server.next();
    const { note } = JSON.parse(request.body);
    expect(note).toMatch(/^ö+…$/);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
    expect(Buffer.byteLength(note)).toBeGreaterThan(1_020);
    request.reply(409, { message: 'already exists' });
    await expect(creating).resolves.toBeUndefined();
  });
});

describe('credentials', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'istio-pnc-credentials-'));
    writeFileSync(join(directory, 'token'), 'one\n');
    writeFileSync(join(directory, 'ca.crt'), 'ca');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('reads the token again after a minute, or when told to', () => {
    let nowMs = 0;
    const credentials = serviceAccountCredentials(directory, () => nowMs);
    expect(credentials.current().token).toBe('one');
    writeFileSync(join(directory, 'token'), 'two');
    expect(credentials.current().token).toBe('one');
    nowMs = 60_001;
    expect(credentials.current().token).toBe('two');
    writeFileSync(join(directory, 'token'), 'three');
    credentials.refresh();
    expect(credentials.current().token).toBe('three');
  });

  it('names the file that is missing', () => {
    rmSync(join(directory, 'ca.crt'));
    const credentials = serviceAccountCredentials(directory, () => 0);
    expect(() => credentials.current()).toThrow(/ca\.crt: ENOENT/);
  });

  it('finds the API server over IPv4 and IPv6, and says so outside a cluster', () => {
    expect(apiServerUrl({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' }).href).toBe(
      'https://10.96.0.1:6443/',
    );
    expect(apiServerUrl({ KUBERNETES_SERVICE_HOST: 'fd00::1' }).href).toBe('https://[fd00::1]/');
    expect(() => apiServerUrl({})).toThrow(/KUBERNETES_SERVICE_HOST/);
  });

  it('trusts the CA of the ServiceAccount and no other, and follows when it is replaced', async () => {
    const certificate = selfSigned(directory);
    const secure = createServer({ key: certificate.key, cert: certificate.cert }, (_, response) => response.end('{}'));
    await new Promise<void>((resolve) => {
      secure.listen(0, '127.0.0.1', resolve);
    });
    const { port } = secure.address() as AddressInfo;
    let ca = selfSigned(directory).cert;
    const overTls = createKubeClient({
      baseUrl: new URL(`https://127.0.0.1:${port}`),
      credentials: { current: () => ({ token: '', ca }), refresh: () => undefined },
      observe: () => undefined,
      clock,
      nodeName: 'node-1',
    });
    const target = { path: '/', uid: '', annotations: {} };
    await expect(overTls.patchAnnotations(target)).rejects.toMatchObject({ code: 'ApiUnavailable' });
    ca = certificate.cert;
    expect(await overTls.patchAnnotations(target)).toBe('patched');
    overTls.close();
    secure.close();
  });
});

function selfSigned(directory: string): { key: string; cert: string } {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', cert],
    {
      stdio: 'ignore',
    },
  );
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
