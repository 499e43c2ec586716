import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MARK_BYTES_MAX, parseMark, readyMark, refusedMark } from './mark-text.ts';

const HASH = '0123456789abcdef';

describe('parseMark', () => {
  it('reads what was written, with and without the newline of sysfs', () => {
    expect(parseMark(readyMark(HASH))).toEqual({ kind: 'ready', policyHash: HASH });
    expect(parseMark(`${readyMark(HASH)}\n`)).toEqual({ kind: 'ready', policyHash: HASH });
    expect(parseMark(refusedMark('NoSidecar', 'no proxy: add one'))).toEqual({
      kind: 'refused',
      code: 'NoSidecar',
      text: 'no proxy: add one',
    });
    expect(parseMark('')).toEqual({ kind: 'none' });
    expect(parseMark('\n')).toEqual({ kind: 'none' });
  });

  it.each([
    'uplink to rack 4',
    `istio-pod-network-controller v2 ready ${HASH}`,
    `istio-pod-network-controller v1 ready ${HASH}0`,
    `istio-pod-network-controller v1 ready ${HASH.toUpperCase()}`,
    `istio-pod-network-controller v1  ready ${HASH}`,
    ` istio-pod-network-controller v1 ready ${HASH}`,
    `istio-pod-network-controller v1 ready ${HASH} `,
    `istio-pod-network-controller v1 ready ${HASH}\n\n`,
    'istio-pod-network-controller v1 ready',
    'istio-pod-network-controller v1',
    'istio-pod-network-controller v1 refused: why',
  ])('opens nothing for %j', (alias) => {
    expect(parseMark(alias).kind).toBe('foreign');
  });
});

describe('refusedMark', () => {
  it('stays on one line', () => {
    expect(refusedMark('X', ' a\nb\tc\u0000d ')).toBe('istio-pod-network-controller v1 refused X: a b c d');
  });

  it('is cut between characters, to what the kernel takes', () => {
    const mark = refusedMark('X', 'ä'.repeat(300));
    expect(Buffer.byteLength(mark)).toBeLessThanOrEqual(MARK_BYTES_MAX);
    expect(Buffer.byteLength(mark)).toBeGreaterThan(MARK_BYTES_MAX - 3);
    expect(mark).toMatch(/ä…$/);
  });

  it('fits, and is read as refused, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (text) => {
        const mark = refusedMark('InvalidCapturePolicy', text);
        expect(Buffer.byteLength(mark)).toBeLessThanOrEqual(MARK_BYTES_MAX);
        expect(parseMark(mark)).toMatchObject({ kind: 'refused', code: 'InvalidCapturePolicy' });
      }),
    );
  });
});
