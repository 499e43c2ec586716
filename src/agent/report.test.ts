import { describe, expect, it } from 'vitest';
import type { Pod } from '../pod/pod.ts';
import {
  CAPTURE_ANNOTATION,
  capturedAnnotations,
  failedAnnotations,
  MESSAGE_ANNOTATION,
  STATUS_ANNOTATION,
} from './report.ts';

function pod(annotations: Readonly<Record<string, string>>): Pod {
  return {
    namespace: 'default',
    name: 'a',
    uid: 'uid',
    resourceVersion: '1',
    nodeName: 'node',
    phase: 'Running',
    deleting: false,
    hostNetwork: false,
    hostUsers: true,
    nameservers: undefined,
    labels: {},
    annotations,
    podIPs: [],
    securityContext: { runAsUser: undefined, runAsGroup: undefined, privileged: false, addedCapabilities: [] },
    initContainers: [],
    containers: [],
  };
}

const report = {
  policy: '0123456789abcdef',
  sandbox: 's1',
  netns: '4711',
  boot: 'b1',
  backend: 'nft' as const,
  at: '2026-01-01T00:00:00.000Z',
  ms: 1.2,
};

describe('report annotations', () => {
  it('says initialized exactly as the original did, and the facts as JSON', () => {
    const patch = capturedAnnotations(pod({}), report);
    expect(patch?.[STATUS_ANNOTATION]).toBe('initialized');
    expect(JSON.parse(patch?.[CAPTURE_ANNOTATION] ?? '')).toEqual(report);
    expect(patch).not.toHaveProperty(MESSAGE_ANNOTATION);
  });

  it('writes nothing when the pod already says it, whatever the time of writing', () => {
    const written = {
      [STATUS_ANNOTATION]: 'initialized',
      [CAPTURE_ANNOTATION]: JSON.stringify({ ...report, at: 'earlier', ms: 9 }),
    };
    expect(capturedAnnotations(pod(written), report)).toBeUndefined();
  });

  it.each([
    ['another sandbox', { ...report, sandbox: 's0' }],
    ['another boot', { ...report, boot: 'b0' }],
    ['another netns', { ...report, netns: '1' }],
  ])('does not believe a report of %s', (_, stale) => {
    const written = { [STATUS_ANNOTATION]: 'initialized', [CAPTURE_ANNOTATION]: JSON.stringify(stale) };
    expect(capturedAnnotations(pod(written), report)?.[STATUS_ANNOTATION]).toBe('initialized');
  });

  it('does not believe a status the author of the pod set', () => {
    expect(capturedAnnotations(pod({ [STATUS_ANNOTATION]: 'initialized' }), report)).toBeDefined();
    expect(
      capturedAnnotations(pod({ [STATUS_ANNOTATION]: 'initialized', [CAPTURE_ANNOTATION]: '[' }), report),
    ).toBeDefined();
  });

  it('takes the message away once the pod is captured', () => {
    expect(capturedAnnotations(pod({ [MESSAGE_ANNOTATION]: 'port 0' }), report)?.[MESSAGE_ANNOTATION]).toBeNull();
  });

  it('says failed and why, cut to its limit, once', () => {
    const patch = failedAnnotations(pod({ [CAPTURE_ANNOTATION]: 'old' }), 'x'.repeat(5_000));
    expect(patch?.[STATUS_ANNOTATION]).toBe('failed');
    expect(patch?.[CAPTURE_ANNOTATION]).toBeNull();
    const message = patch?.[MESSAGE_ANNOTATION] ?? '';
    expect(message).toHaveLength(1_000);
    expect(
      failedAnnotations(pod({ [STATUS_ANNOTATION]: 'failed', [MESSAGE_ANNOTATION]: message }), 'x'.repeat(5_000)),
    ).toBeUndefined();
  });
});
