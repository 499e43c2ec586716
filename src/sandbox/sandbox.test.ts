import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pickSandbox, runtimePodUid, type Sandbox } from './sandbox.ts';

describe('pickSandbox', () => {
  it('takes the highest attempt, then the youngest', () => {
    const old = sandbox({ id: 'old', attempt: 0, createdAtNs: 9n });
    const replaced = sandbox({ id: 'replaced', attempt: 1, createdAtNs: 1n });
    const again = sandbox({ id: 'again', attempt: 1, createdAtNs: 2n });
    expect(pickSandbox([again, old, replaced], 'uid')?.id).toBe('again');
  });

  it('passes over sandboxes that are not ready and those of other pods', () => {
    const stopped = sandbox({ id: 'stopped', attempt: 5, ready: false });
    const other = sandbox({ id: 'other', attempt: 5, podUid: 'other' });
    expect(pickSandbox([stopped, other, sandbox({ id: 'mine' })], 'uid')?.id).toBe('mine');
    expect(pickSandbox([stopped, other], 'uid')).toBeUndefined();
    expect(pickSandbox([], 'uid')).toBeUndefined();
  });

  it('does not depend on the order of the list', () => {
    const one = fc.record({ attempt: fc.nat(3), createdAtNs: fc.bigInt(0n, 3n), ready: fc.boolean() });
    const list = fc.array(one, { maxLength: 6 });
    fc.assert(
      fc.property(list, (parts) => {
        const sandboxes = parts.map((part, index) => sandbox({ ...part, id: String(index) }));
        const forth = pickSandbox(sandboxes, 'uid');
        const back = pickSandbox(sandboxes.toReversed(), 'uid');
        expect([back?.attempt, back?.createdAtNs]).toEqual([forth?.attempt, forth?.createdAtNs]);
      }),
    );
  });
});

describe('runtimePodUid', () => {
  const uid = '6b1c7a52-0d64-4b2f-9a0e-5a3a5a6b7c8d';
  const hash = '3f0b6c2a9d7e4f51a2b3c4d5e6f70819';
  const mirror = (value: string) => ({ 'kubernetes.io/config.hash': value, 'kubernetes.io/config.mirror': value });

  it('is the uid in the API for ordinary pods', () => {
    expect(runtimePodUid({ uid, annotations: {} })).toBe(uid);
  });

  it("is the manifest's hash for the mirror pod of a static pod", () => {
    expect(runtimePodUid({ uid, annotations: mirror(hash) })).toBe(hash);
  });

  it("cannot be turned to another pod's sandbox by annotations", () => {
    const victim = 'c0ffee00-0d64-4b2f-9a0e-5a3a5a6b7c8d';
    expect(runtimePodUid({ uid, annotations: mirror(victim) })).toBe(uid);
    expect(runtimePodUid({ uid, annotations: { 'kubernetes.io/config.hash': hash } })).toBe(uid);
    expect(runtimePodUid({ uid, annotations: { ...mirror(hash), 'kubernetes.io/config.mirror': victim } })).toBe(uid);
  });
});

function sandbox(part: Partial<Sandbox>): Sandbox {
  return {
    id: 'id',
    podUid: 'uid',
    podName: 'web',
    podNamespace: 'shop',
    attempt: 0,
    ready: true,
    createdAtNs: 1n,
    ...part,
  };
}
