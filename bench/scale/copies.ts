import { createPrivateKey, type KeyObject, sign } from 'node:crypto';

/** What takes the place of what, in a copy. */
export type Replacements = Readonly<Record<string, string>>;

/**
 * A copy of a stored object in which texts stand for others. Every text of the storage format has its length before it, and so has everything
 * around it: only a text of the same length may take its place. Throws for another one, and for a text that is not there.
 */
export function copyStored(value: Buffer, replacements: Replacements): Buffer {
  const copy = Buffer.from(value);
  for (const [from, to] of Object.entries(replacements)) {
    const [before, after] = [Buffer.from(from), Buffer.from(to)];
    if (before.length !== after.length) throw new Error(`${from} and ${to} differ in length`);
    // Searched in the original: a copy's text may look like what the next replacement looks for.
    let at = value.indexOf(before);
    if (at < 0) throw new Error(`there is no ${from}`);
    for (; at >= 0; at = value.indexOf(before, at + before.length)) after.copy(copy, at);
  }
  return copy;
}

/** A token like `token`, about somebody else: the same claims with other texts, signed with the key of the API server. */
export function copyToken(token: string, replacements: Replacements, key: KeyObject): string {
  const [header = '', payload = ''] = token.split('.');
  let claims = Buffer.from(payload, 'base64url').toString('utf8');
  for (const [from, to] of Object.entries(replacements)) {
    if (!claims.includes(from)) throw new Error(`the token does not say ${from}`);
    claims = claims.replaceAll(from, to);
  }
  const signed = `${header}.${Buffer.from(claims).toString('base64url')}`;
  // ES256 is SHA-256 and the two numbers of the signature without a frame.
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

export function signingKey(pem: string): KeyObject {
  return createPrivateKey(pem);
}
