import { cutToBytes } from '../cut-text.ts';

/** Controls, line separators, and what is invisible or turns the direction of text: none may reach a terminal from somebody's annotation. */
const HOSTILE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Somebody else's text as one line of at most `bytesMax` bytes: what could steer a terminal or hide itself is spelled out. */
export function plainText(text: string, bytesMax = 300): string {
  // Cut first: escaping a whole megabyte only to throw it away would be work for nothing.
  const start = cutToBytes(text, bytesMax);
  const spelled = start.replace(
    HOSTILE,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
  return cutToBytes(spelled, bytesMax);
}
