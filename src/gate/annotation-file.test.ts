import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAnnotation, unquoteGo } from './annotation-file.ts';

const KEY = 'pod-network-controller.istio.io/status';

describe('readAnnotation, all annotations', () => {
  it('finds the one asked for among others', () => {
    const text = `kubernetes.io/config.seen="2026-11-24T12:00:00Z"\n${KEY}="initialized"\nzz="1"\n`;
    expect(readAnnotation(text, KEY)).toEqual({ kind: 'value', value: 'initialized' });
  });

  it('is absent when other annotations are there, or none', () => {
    expect(readAnnotation('a="1"\nb.c/d="2"', KEY)).toEqual({ kind: 'absent' });
    expect(readAnnotation('', KEY)).toEqual({ kind: 'absent' });
  });

  it('does not judge the lines of other annotations', () => {
    const text = `a="1\nbroken\n\n${KEY}="initialized"`;
    expect(readAnnotation(text, KEY)).toEqual({ kind: 'value', value: 'initialized' });
  });

  it('takes no other key for ours, and no value for a line', () => {
    const lines = [`x.${KEY}="initialized"`, `${KEY}2="initialized"`, `a="\\n${KEY}=\\"initialized\\""`];
    expect(readAnnotation(lines.join('\n'), KEY)).toEqual({ kind: 'absent' });
  });

  it.each([
    ['without quotes', 'initialized'],
    ['cut off', '"initialized'],
    ['with text behind it', '"initialized" '],
    ['with a bare quote', '"initial"ized"'],
    ['with an unknown escape', '"initialized\\q"'],
  ])('concludes nothing from a line of ours %s', (_, literal) => {
    expect(readAnnotation(`a="1"\n${KEY}=${literal}`, KEY).kind).toBe('unreadable');
  });

  it('concludes nothing from two lines of ours', () => {
    expect(readAnnotation(`${KEY}="failed"\n${KEY}="initialized"`, KEY).kind).toBe('unreadable');
  });
});

describe('readAnnotation, the one annotation', () => {
  it.each(['initialized', 'initialized\n'])('takes the bare value %j', (text) => {
    expect(readAnnotation(text, KEY)).toEqual({ kind: 'value', value: 'initialized' });
  });

  it('keeps a value that is not quite it as it is', () => {
    expect(readAnnotation(' initialized\n\n', KEY)).toEqual({ kind: 'value', value: ' initialized\n' });
  });
});

describe('unquoteGo', () => {
  it.each([
    ['""', ''],
    ['"a\\tb\\nc\\r\\a\\b\\f\\v"', 'a\tb\nc\r\x07\b\f\v'],
    ['"\\"quoted\\" and \\\\"', '"quoted" and \\'],
    ['"\\x7f\\u00e9\\U0001f600é😀"', '\x7fé😀é😀'],
    ['"\\303\\251"', 'é'],
    ['"\\xff"', '�'],
  ])('reads %s', (literal, value) => {
    expect(unquoteGo(literal)).toBe(value);
  });

  it.each([
    '',
    '"',
    'a',
    '"a',
    '"\\"',
    '"a"b"',
    "'a'",
    '`a`',
    '"\\\'"',
    '"\\x1"',
    '"\\ud800"',
    '"\\U00110000"',
    '"\\400"',
    '"\n"',
  ])('refuses %j', (literal) => {
    expect(unquoteGo(literal)).toBeUndefined();
  });

  it('gives back whatever was quoted', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        expect(unquoteGo(quote(value))).toBe(value);
      }),
    );
  });
});

/** As %q does, for text that is UTF-8. */
function quote(value: string): string {
  const escaped = value.replace(/[\\"]/g, '\\$&').replace(/\p{Cc}/gu, (control) => {
    const code = control.codePointAt(0) ?? 0;
    return code < 0x80 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}
