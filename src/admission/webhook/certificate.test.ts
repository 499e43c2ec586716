import { beforeAll, describe, expect, it } from 'vitest';
import {
  anchorsOf,
  type CertificatePems,
  certificatesIn,
  isValidAt,
  mergedAuthorities,
  notAfterMs,
  whyUnusable,
} from './certificate.ts';
import { makeCertificate } from './make-certificate.ts';

const DNS_NAME = 'webhook.own.svc';
const NOW_MS = Date.parse('2026-03-01T12:00:00.500Z');
const HOUR_MS = 3_600_000;
let one: CertificatePems;
let later: CertificatePems;

beforeAll(async () => {
  one = await makeCertificate({ dnsName: DNS_NAME, lifetimeMs: 10 * HOUR_MS, nowMs: NOW_MS });
  later = await makeCertificate({ dnsName: DNS_NAME, lifetimeMs: 10 * HOUR_MS, nowMs: NOW_MS + HOUR_MS });
});

describe('a certificate we made', () => {
  it('is usable from an hour before it was made, for clocks that are behind, until its end', () => {
    const at = (nowMs: number) => whyUnusable(one, { dnsName: DNS_NAME, nowMs, trust: 'checked' });
    expect(at(NOW_MS - HOUR_MS - 1_000)).toContain('not valid before');
    expect(at(NOW_MS - HOUR_MS)).toBeUndefined();
    expect(at(NOW_MS + 10 * HOUR_MS - 1_000)).toBeUndefined();
    expect(at(NOW_MS + 10 * HOUR_MS)).toContain('expired at 2026-03-01T22:00:00.000Z');
    expect(notAfterMs(one.chain)).toBe(NOW_MS + 10 * HOUR_MS - 500);
  });

  it('is for its name alone', () => {
    for (const dnsName of ['webhook.own.svc.cluster.local', 'other.own.svc', 'istio-pod-network-controller webhook']) {
      expect(whyUnusable(one, { dnsName, nowMs: NOW_MS, trust: 'checked' })).toBe(`tls.crt is not for ${dnsName}`);
    }
  });

  it('is known by its own CA, and by no other', () => {
    expect(anchorsOf(one.chain, [...later.authorities, ...one.authorities], NOW_MS)).toEqual(one.authorities);
    const mixed = { ...one, authorities: later.authorities };
    const rules = { dnsName: DNS_NAME, nowMs: NOW_MS };
    expect(whyUnusable(mixed, { ...rules, trust: 'checked' })).toBe('no valid CA in ca.crt has issued tls.crt');
    expect(whyUnusable(mixed, { ...rules, trust: 'unknown' })).toBeUndefined();
  });

  it('is not a CA itself', () => {
    expect(anchorsOf(one.chain, [one.chain], NOW_MS)).toEqual([]);
  });

  it('leaves Reflect as it was', () => {
    expect('getMetadata' in Reflect).toBe(false);
  });
});

describe('what is no certificate', () => {
  it.each(['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'is unusable and never throws: %j',
    (text) => {
      const why = whyUnusable(
        { chain: text, key: text, authorities: [text] },
        { dnsName: DNS_NAME, nowMs: NOW_MS, trust: 'checked' },
      );
      expect(why).toBe('tls.crt holds no certificate');
      expect([certificatesIn(text), notAfterMs(text), isValidAt(text, NOW_MS)]).toEqual([[], 0, false]);
    },
  );

  it('is left out of a bundle', () => {
    const [ca = ''] = one.authorities;
    const bundle = `# comment\n${ca}\n-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\r\n${ca.replaceAll('\n', '\r\n')}`;
    expect(certificatesIn(bundle)).toEqual([ca, ca]);
    expect(certificatesIn(ca.repeat(100))).toHaveLength(16);
  });

  it('names a key of another', () => {
    const rules = { dnsName: DNS_NAME, nowMs: NOW_MS, trust: 'checked' } as const;
    expect(whyUnusable({ ...one, key: later.key }, rules)).toBe('tls.key does not belong to tls.crt');
    expect(whyUnusable({ ...one, key: 'x' }, rules)).toContain('tls.key holds no private key');
  });
});

describe('the bundle', () => {
  it('is the same for replicas that know the same, in whatever order they learned of it', () => {
    const merged = mergedAuthorities(one.authorities, later.authorities, NOW_MS);
    expect(merged).toEqual([...later.authorities, ...one.authorities]);
    expect(mergedAuthorities(later.authorities, [...one.authorities, ...later.authorities], NOW_MS)).toEqual(merged);
  });

  it('loses what has expired and what is no certificate', () => {
    expect(mergedAuthorities(later.authorities, [...one.authorities, 'x'], NOW_MS + 10.5 * HOUR_MS)).toEqual(
      later.authorities,
    );
  });
});
