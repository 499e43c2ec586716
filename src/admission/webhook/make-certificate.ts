import type { CertificatePems } from './certificate.ts';

/** What a new certificate is made for. */
export interface CertificateWish {
  /** `SERVICE.NAMESPACE.svc`: the name the API server checks. */
  readonly dnsName: string;
  readonly lifetimeMs: number;
  /** Wall clock. */
  readonly nowMs: number;
}

/** How far a node's clock may be behind that of the one that made the certificate. */
const BACKDATED_MS = 60 * 60_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * A CA and the one leaf it ever signs. The CA's key is forgotten on return: a Secret that is read by somebody holds nothing with which
 * another certificate could be made, and every renewal takes the same way, the change of a CA included. Hence both live equally long.
 */
export async function makeCertificate({ dnsName, lifetimeMs, nowMs }: CertificateWish): Promise<CertificatePems> {
  const x509 = await loadX509();
  const { subtle } = globalThis.crypto;
  // Extractable only where it has to be written down.
  const authorityKeys = await subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const leafKeys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const validity = { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + lifetimeMs) };
  // A name of its own for each CA: clients that look an issuer up by its name find one.
  const name = `CN=istio-pod-network-controller webhook CA ${new Date(nowMs).toISOString()}`;
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name,
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: 'CN=istio-pod-network-controller webhook',
    issuer: authority.subject,
    publicKey: leafKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: dnsName }]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const key = x509.PemConverter.encode(await subtle.exportKey('pkcs8', leafKeys.privateKey), 'PRIVATE KEY');
  return { chain: leaf.toString('pem'), key, authorities: [authority.toString('pem')] };
}

/**
 * The library's dependency injection (tsyringe) asks for a metadata polyfill of Reflect while it is loaded, and its classes carry none.
 * It gets one that knows nothing, and takes it away again: nothing of this program shall see another Reflect.
 */
async function loadX509(): Promise<typeof import('./x509.ts')> {
  if ('getMetadata' in Reflect) return import('./x509.ts');
  const nothing = { getMetadata: () => undefined, getOwnMetadata: () => undefined, defineMetadata: () => undefined };
  Object.assign(Reflect, nothing);
  try {
    return await import('./x509.ts');
  } finally {
    for (const name of Object.keys(nothing)) Reflect.deleteProperty(Reflect, name);
  }
}
