import { asObject, asString, type JsonObject } from '../json.ts';
import { type CertificatePems, certificatesIn, isValidAt, notAfterMs, whyUnusable } from './certificate.ts';

/** The Secret that holds the certificate, as far as it matters here. */
export interface CertificateSecret {
  readonly uid: string;
  readonly resourceVersion: string;
  /** Made by us, by its label: then we may write over what is in it. */
  readonly ours: boolean;
  readonly pems: CertificatePems;
}

/** What becomes of a Secret at a time. */
export type SecretState =
  | { readonly kind: 'usable'; readonly secret: CertificateSecret; readonly renewAtMs: number }
  /** Missing, or ours and of no use: a new certificate goes in. */
  | { readonly kind: 'replace'; readonly secret: CertificateSecret | undefined; readonly why: string }
  /** Somebody else's, and of no use. */
  | { readonly kind: 'foreign'; readonly secret: CertificateSecret; readonly why: string };

export interface SecretRules {
  readonly dnsName: string;
  readonly lifetimeMs: number;
  /** Wall clock. */
  readonly nowMs: number;
}

const LABEL = 'pod-network-controller.istio.io/certificate';
/** Older CAs that stay trusted beside the newest: one that is still served somewhere, and room for a renewal that came early. */
const OLDER_AUTHORITIES_MAX = 3;

/** A Secret of the API → what we read of it. Never throws: whatever is not there reads as empty. */
export function readSecret(object: unknown): CertificateSecret {
  const { metadata, data } = asObject(object);
  const { uid, resourceVersion, labels } = asObject(metadata);
  const text = (key: string) => Buffer.from(asString(asObject(data)[key]), 'base64').toString('latin1');
  return {
    uid: asString(uid),
    resourceVersion: asString(resourceVersion),
    ours: asObject(labels)[LABEL] === 'self',
    pems: { chain: text('tls.crt'), key: text('tls.key'), authorities: certificatesIn(text('ca.crt')) },
  };
}

/**
 * Judges by what is left of a certificate, not by its age: replicas with another lifetime (a rollout that changes the flag) then agree
 * that what one of them made is good enough, instead of renewing each other's in turn.
 */
export function secretState(secret: CertificateSecret | undefined, rules: SecretRules): SecretState {
  if (secret === undefined) return { kind: 'replace', secret, why: 'there is none' };
  const { dnsName, lifetimeMs, nowMs } = rules;
  const why = whyUnusable(secret.pems, { dnsName, nowMs, trust: 'checked' });
  if (why !== undefined) return { kind: secret.ours ? 'replace' : 'foreign', secret, why };
  // As cert-manager does: two thirds of the life are over, and the last third is for whatever keeps us from renewing.
  const renewAtMs = secret.ours ? notAfterMs(secret.pems.chain) - lifetimeMs / 3 : Number.POSITIVE_INFINITY;
  return { kind: 'usable', secret, renewAtMs };
}

/** The `data` of a Secret for a new certificate. CAs of before that are still valid stay in the bundle: the old leaf is still served. */
export function secretData(fresh: CertificatePems, old: CertificateSecret | undefined, nowMs: number): JsonObject {
  const older = (old?.ours === true ? old.pems.authorities : []).filter((pem) => isValidAt(pem, nowMs));
  const authorities = [...fresh.authorities, ...older.slice(0, OLDER_AUTHORITIES_MAX)];
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return {
    'tls.crt': base64(fresh.chain),
    'tls.key': base64(fresh.key),
    'ca.crt': base64(`${authorities.map((pem) => pem.trim()).join('\n')}\n`),
  };
}

/** A whole Secret. `owner`, where known, is what it shall be removed with. */
export function newSecret(name: string, data: JsonObject, owner: SecretOwner | undefined): JsonObject {
  const labels = { 'app.kubernetes.io/name': 'istio-pod-network-controller-webhook', [LABEL]: 'self' };
  const reference = { apiVersion: 'v1', kind: 'ServiceAccount', ...owner };
  const ownerReferences = owner === undefined ? {} : { ownerReferences: [reference] };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name, labels, ...ownerReferences },
    data,
  };
}

/** The ServiceAccount of this process. */
export interface SecretOwner {
  readonly name: string;
  readonly uid: string;
}

/**
 * The ServiceAccount a projected token was issued for: an owner that is uninstalled with the chart, found without asking anybody.
 * Undefined for a token that does not say; nothing is trusted on its word but where garbage collection may begin.
 */
export function ownerFromToken(token: string): SecretOwner | undefined {
  try {
    const claims = asObject(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')));
    const { name, uid } = asObject(asObject(claims['kubernetes.io']).serviceaccount);
    if (typeof name === 'string' && typeof uid === 'string' && name !== '' && uid !== '') return { name, uid };
  } catch {
    // Not a JWT: a token of another issuer, or a test.
  }
  return undefined;
}
