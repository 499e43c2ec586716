import { createPrivateKey, X509Certificate } from 'node:crypto';
import { messageOf } from '../../errors.ts';

/** A served pair with its CAs, all PEM, as a Secret of type kubernetes.io/tls holds it. */
export interface CertificatePems {
  readonly chain: string;
  readonly key: string;
  readonly authorities: readonly string[];
}

/** Bundles beyond this are not ours; also what bounds the work on a Secret somebody filled with garbage. */
const AUTHORITIES_MAX = 16;
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,16384}?-----END CERTIFICATE-----/g;

/** The certificates of a PEM bundle, one normalized PEM each, in order; what does not parse is left out. */
export function certificatesIn(bundle: string): readonly string[] {
  const found = bundle.match(PEM) ?? [];
  return found.slice(0, AUTHORITIES_MAX).flatMap((pem) => {
    const certificate = parsed(pem);
    return certificate === undefined ? [] : [certificate.toString().trim()];
  });
}

/** Wall clock in milliseconds of a certificate's end; of the first one in a chain. 0 for what is no certificate. */
export function notAfterMs(pem: string): number {
  return parsed(pem)?.validToDate.getTime() ?? 0;
}

/** Whether a certificate is valid at a time of the wall clock. */
export function isValidAt(pem: string, nowMs: number): boolean {
  const certificate = parsed(pem);
  return certificate !== undefined && validAt(certificate, nowMs);
}

/**
 * Why a pair cannot be served under a DNS name now; undefined if it can. The API server checks the same things: time, name, and the
 * way from the leaf to a CA of the bundle. With no CAs given, that way is somebody else's concern.
 */
export function whyUnusable(
  { chain, key, authorities }: CertificatePems,
  {
    dnsName,
    nowMs,
    trust,
  }: { readonly dnsName: string; readonly nowMs: number; readonly trust: 'checked' | 'unknown' },
): string | undefined {
  const leaf = parsed(chain);
  if (leaf === undefined) return 'tls.crt holds no certificate';
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'tls.key does not belong to tls.crt';
  } catch (error: unknown) {
    return `tls.key holds no private key: ${messageOf(error)}`;
  }
  // As in Go: the common name does not count.
  if (leaf.checkHost(dnsName, { subject: 'never' }) === undefined) return `tls.crt is not for ${dnsName}`;
  if (nowMs < leaf.validFromDate.getTime()) return `tls.crt is not valid before ${leaf.validFromDate.toISOString()}`;
  if (nowMs >= leaf.validToDate.getTime()) return `tls.crt expired at ${leaf.validToDate.toISOString()}`;
  if (trust === 'unknown' || anchorsOf(chain, authorities, nowMs).length > 0) return undefined;
  return 'no valid CA in ca.crt has issued tls.crt';
}

/** Those of the CAs from which a valid way leads to the leaf of a chain: by one of them the API server will know it. */
export function anchorsOf(chain: string, authorities: readonly string[], nowMs: number): readonly string[] {
  const [first, ...between] = certificatesIn(chain);
  let subject = first === undefined ? undefined : parsed(first);
  for (const pem of [...between, undefined]) {
    if (subject === undefined || !validAt(subject, nowMs)) return [];
    const issued = subject;
    const anchors = authorities.filter((authority) => issues(parsed(authority), issued, nowMs));
    if (anchors.length > 0) return anchors;
    const next = pem === undefined ? undefined : parsed(pem);
    subject = issues(next, issued, nowMs) ? next : undefined;
  }
  return [];
}

/**
 * The bundle the API server shall have: ours and those it has already, without what has expired, newest first. One that we do not know
 * is kept: another replica may have learned of a new CA a moment earlier, and to take it out would cut that replica off.
 */
export function mergedAuthorities(
  ours: readonly string[],
  theirs: readonly string[],
  nowMs: number,
): readonly string[] {
  const all = new Set([...ours, ...theirs].map((pem) => pem.trim()));
  const valid = [...all].filter((pem) => isValidAt(pem, nowMs));
  // The end of validity and then the text: an order in which any two replicas agree.
  const sorted = valid.toSorted((a, b) => notAfterMs(b) - notAfterMs(a) || (a < b ? -1 : 1));
  return sorted.slice(0, AUTHORITIES_MAX);
}

function issues(authority: X509Certificate | undefined, subject: X509Certificate, nowMs: number): boolean {
  if (authority === undefined || !validAt(authority, nowMs)) return false;
  try {
    return authority.ca && subject.checkIssued(authority) && subject.verify(authority.publicKey);
  } catch {
    // A key of another kind than the signature's.
    return false;
  }
}

function validAt(certificate: X509Certificate, nowMs: number): boolean {
  return certificate.validFromDate.getTime() <= nowMs && nowMs < certificate.validToDate.getTime();
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
