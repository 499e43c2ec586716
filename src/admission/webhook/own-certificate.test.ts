import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asObject, asString, type JsonObject } from '../json.ts';
import { whyUnusable } from './certificate.ts';
import { type FakeCluster, fakeCluster, NAMESPACE, realClock, SECRETS } from './fake-cluster.ts';
import { makeCertificate } from './make-certificate.ts';
import { ownCertificate } from './own-certificate.ts';
import { ownerFromToken, readSecret } from './secret.ts';
import { recordingLog, silentMetrics } from './recording.ts';
import type { Certificate } from './types.ts';

const SECRET = 'istio-pod-network-controller-webhook';
const DNS_NAME = `${SECRET}.${NAMESPACE}.svc`;
const DAY_MS = 86_400_000;

let cluster: FakeCluster;
let stop: AbortController;

beforeEach(async () => {
  cluster = await fakeCluster();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await cluster.close();
});

describe('the certificate of our own', () => {
  it('is made where there is none, for the name the API server checks, and removed with our ServiceAccount', async () => {
    const replica = start();
    await replica.offered(1);
    const [certificate] = replica.certificates;
    expect(usable(certificate, Date.now())).toBeUndefined();
    expect(certificate?.anchors).toEqual(certificate?.authorities);
    expect(cluster.object(SECRETS, SECRET)).toMatchObject({
      type: 'kubernetes.io/tls',
      metadata: { ownerReferences: [{ kind: 'ServiceAccount', name: 'sa', uid: 'sa-uid' }] },
    });
    // The CA's key is nowhere.
    expect(Object.keys(asObject(cluster.object(SECRETS, SECRET)?.data)).toSorted()).toEqual([
      'ca.crt',
      'tls.crt',
      'tls.key',
    ]);
  });

  it('is one, however many replicas begin at once', async () => {
    await holdFirstWrites(3);
    const replicas = [start(), start(), start()];
    await Promise.all(replicas.map((replica) => replica.offered(1)));
    expect(cluster.writes.filter((line) => line.endsWith(' 201'))).toHaveLength(1);
    expect(cluster.writes.filter((line) => line.endsWith(' 409'))).toHaveLength(2);
    expect(new Set(replicas.map((replica) => replica.certificates.at(-1)?.chain)).size).toBe(1);
  });

  it('is renewed once by two replicas when two thirds are over, and the old CA stays trusted', async () => {
    let nowMs = Date.now();
    const clock = () => new Date(nowMs);
    await seed({ nowMs });
    const first = readSecret(cluster.object(SECRETS, SECRET)).pems;
    nowMs += 59 * DAY_MS;
    const early = start({ clock });
    await early.offered(1);
    expect(cluster.writes).toEqual([]);
    nowMs += 2 * DAY_MS;
    await holdFirstWrites(2);
    const [one, other] = [start({ clock }), start({ clock })];
    await Promise.all([one.offered(2), other.offered(2)]);
    expect(cluster.writes.map((line) => line.slice(-3)).toSorted()).toEqual(['200', '409']);
    const [renewed] = one.certificates.slice(-1);
    expect(renewed).toEqual(other.certificates.at(-1));
    expect(renewed?.chain).not.toBe(first.chain);
    expect(renewed?.authorities).toEqual([...(renewed?.anchors ?? []), ...first.authorities]);
    expect(usable(renewed, nowMs)).toBeUndefined();
  });

  it.each([
    ['expired', async () => seed({ nowMs: Date.now() - 100 * DAY_MS })],
    ['not valid yet', async () => seed({ nowMs: Date.now() + 10 * DAY_MS })],
    ['for another name', async () => seed({ nowMs: Date.now(), dnsName: 'other.own.svc' })],
    ['garbage', async () => putSecret({ 'tls.crt': 'AAAA', 'tls.key': '!', 'ca.crt': '' })],
    ['empty', async () => putSecret({})],
    ['with the key of another', async () => seed({ nowMs: Date.now(), key: (await fresh()).key })],
  ])('is replaced when it is %s', async (_, prepare) => {
    await prepare();
    const replica = start();
    await replica.offered(1);
    expect(usable(replica.certificates[0], Date.now())).toBeUndefined();
    expect(replica.log.lines.join()).toContain('is of no use and is replaced');
    expect(cluster.writes).toHaveLength(1);
  });

  it("is not written over somebody else's Secret, and says so", async () => {
    cluster.put(SECRETS, SECRET, { metadata: { labels: {} }, data: { 'tls.crt': 'AAAA' } });
    const replica = start();
    await replica.log.until('the Secret is not ours');
    expect(cluster.writes).toEqual([]);
    expect(replica.certificates).toEqual([]);
  });

  it("serves somebody else's Secret that holds a usable certificate, and leaves its renewal to them", async () => {
    const pems = await fresh({ nowMs: Date.now() - 85 * DAY_MS });
    cluster.put(SECRETS, SECRET, { metadata: {}, data: data(pems) });
    const replica = start();
    await replica.offered(1);
    expect(replica.certificates[0]?.chain).toBe(pems.chain);
    expect(cluster.writes).toEqual([]);
  });

  it('comes again when the Secret is deleted', async () => {
    const replica = start();
    await replica.offered(1);
    cluster.remove(SECRETS, SECRET);
    await replica.offered(2);
    expect(replica.certificates[1]?.chain).not.toBe(replica.certificates[0]?.chain);
  });

  it('is tried again when the API server fails', async () => {
    let failures = 1;
    cluster.fail = ({ method }) => (method !== 'GET' && (failures -= 1) >= 0 ? 500 : undefined);
    const replica = start();
    await replica.offered(1);
    expect(cluster.writes.map((line) => line.slice(-3))).toEqual(['500', '201']);
  });

  it('lives for seconds when told so', async () => {
    const replica = start({ lifetimeMs: 3_000 });
    await replica.offered(2);
    expect(usable(replica.certificates[1], Date.now())).toBeUndefined();
    expect(cluster.writes.map((line) => line.slice(-3))).toEqual(['201', '200']);
  });
});

describe('the owner in a token', () => {
  const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;

  it('is the ServiceAccount it was issued for', () => {
    const claims = { 'kubernetes.io': { serviceaccount: { name: 'sa', uid: 'u' } } };
    expect(ownerFromToken(token(claims))).toEqual({ name: 'sa', uid: 'u' });
  });

  it.each(['', 'x', 'x.%%%.y', token({}), token({ 'kubernetes.io': { serviceaccount: { name: '', uid: 3 } } })])(
    'is nobody in %j',
    (text) => {
      expect(ownerFromToken(text)).toBeUndefined();
    },
  );
});

interface Peculiar {
  readonly clock?: () => Date;
  readonly lifetimeMs?: number;
}

function start({ clock, lifetimeMs = 90 * DAY_MS }: Peculiar = {}) {
  const certificates: Certificate[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const log = recordingLog();
  const source = ownCertificate({
    api: cluster.client().api,
    namespace: NAMESPACE,
    secretName: SECRET,
    dnsName: DNS_NAME,
    lifetimeMs,
    owner: { name: 'sa', uid: 'sa-uid' },
    clock: realClock(clock),
    log,
    metrics: silentMetrics,
  });
  void source.run((certificate) => {
    if (certificate.chain !== certificates.at(-1)?.chain) certificates.push(certificate);
    for (const one of waiting) if (certificates.length >= one.count) one.resolve();
  }, stop.signal);
  return {
    certificates,
    log,
    /** Resolves once that many different certificates were offered. */
    offered: (count: number) =>
      new Promise<void>((resolve) => {
        if (certificates.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
}

/** Lets the first writes go on only when there are that many: a race whose outcome is the server's. */
async function holdFirstWrites(count: number): Promise<void> {
  let arrived = 0;
  let release: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    release = resolve;
  });
  cluster.beforeWrite = () => {
    arrived += 1;
    if (arrived === count) release();
    return all;
  };
}

function fresh({ nowMs = Date.now(), dnsName = DNS_NAME } = {}) {
  return makeCertificate({ dnsName, lifetimeMs: 90 * DAY_MS, nowMs });
}

async function seed({ key, ...wish }: { nowMs: number; dnsName?: string; key?: string }): Promise<void> {
  const pems = await fresh(wish);
  putSecret(data({ ...pems, key: key ?? pems.key }));
}

function putSecret(content: JsonObject): void {
  const labels = { 'pod-network-controller.istio.io/certificate': 'self' };
  cluster.put(SECRETS, SECRET, { metadata: { labels }, data: content });
}

function data({ chain, key, authorities }: { chain: string; key: string; authorities: readonly string[] }): JsonObject {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return { 'tls.crt': base64(chain), 'tls.key': base64(key), 'ca.crt': base64(authorities.join('\n')) };
}

function usable(certificate: Certificate | undefined, nowMs: number): string | undefined {
  if (certificate?.authorities === undefined) return 'none';
  const pems = { ...certificate, authorities: certificate.authorities, chain: asString(certificate.chain) };
  return whyUnusable(pems, { dnsName: DNS_NAME, nowMs, trust: 'checked' });
}
