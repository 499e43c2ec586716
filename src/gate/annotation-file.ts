/** What the mounted file says about one annotation. */
export type AnnotationReading =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'absent' }
  /** Nothing can be concluded: the gate stays shut. */
  | { readonly kind: 'unreadable'; readonly why: string };

/**
 * Reads one annotation from a downwardAPI file. Two forms exist:
 * - `metadata.annotations`: a line `key="value"` for each, the value quoted as Go's %q does, so that no value can span lines or forge one;
 * - `metadata.annotations['KEY']`: the bare value of the one annotation.
 * A file with any line that begins like `key="` has the first form, every other the second. A value of the second form that itself
 * begins so is read as the first form: the gate then waits, it never opens by mistake.
 * Lines of other annotations are not judged.
 */
export function readAnnotation(text: string, key: string): AnnotationReading {
  const lines = text.split('\n');
  const own = lines.filter((line) => line.startsWith(`${key}=`));
  if (own.length > 1) return { kind: 'unreadable', why: `${key} appears ${own.length} times` };
  const [line] = own;
  if (line !== undefined) {
    const value = unquoteGo(line.slice(key.length + 1));
    return value === undefined
      ? { kind: 'unreadable', why: `the line of ${key} is not quoted text` }
      : { kind: 'value', value };
  }
  if (lines.some((other) => ALL_ANNOTATIONS.test(other))) return { kind: 'absent' };
  const bare = text.endsWith('\n') ? text.slice(0, -1) : text;
  return bare === '' ? { kind: 'absent' } : { kind: 'value', value: bare };
}

const ALL_ANNOTATIONS = /^[A-Za-z0-9][A-Za-z0-9._/-]*="/;

/**
 * The text of a Go string literal in double quotes (strconv.Unquote); undefined if it is not one. Bytes that are no UTF-8 (`\xff`)
 * become U+FFFD, as everywhere text is read.
 */
export function unquoteGo(literal: string): string | undefined {
  if (literal.length < 2 || !literal.startsWith('"') || !literal.endsWith('"')) return undefined;
  const bytes: Buffer[] = [];
  let at = 1;
  const end = literal.length - 1;
  while (at < end) {
    PIECE.lastIndex = at;
    const match = PIECE.exec(literal);
    if (match === null || match.index + match[0].length > end) return undefined;
    const piece = decodePiece(match[0]);
    if (piece === undefined) return undefined;
    bytes.push(piece);
    at += match[0].length;
  }
  return Buffer.concat(bytes).toString('utf8');
}

/** A run of plain characters, or one escape. */
const PIECE = /[^"\\\n]+|\\(?:[abfnrtv\\"]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3})/y;

const NAMED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

function decodePiece(piece: string): Buffer | undefined {
  if (!piece.startsWith('\\')) return Buffer.from(piece);
  const kind = piece.charAt(1);
  const named = NAMED[kind];
  if (named !== undefined) return Buffer.from(named);
  if (kind === 'x') return Buffer.from([Number.parseInt(piece.slice(2), 16)]);
  if (kind === 'u' || kind === 'U') return encodeRune(Number.parseInt(piece.slice(2), 16));
  const byte = Number.parseInt(piece.slice(1), 8);
  return byte > 255 ? undefined : Buffer.from([byte]);
}

/** Go refuses surrogates and what lies beyond Unicode. */
function encodeRune(rune: number): Buffer | undefined {
  if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) return undefined;
  return Buffer.from(String.fromCodePoint(rune));
}
