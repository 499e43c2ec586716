import { describe, expect, it } from 'vitest';
import type { EnrollmentOptions } from '../enrollment/decide.ts';
import type { Namespace } from '../pod/pod.ts';
import { claimsCapture, mayBeOurs } from './hooked-pod.ts';

const OPTIONS: EnrollmentOptions = {
  excludedNamespaces: ['kube-system'],
  enroll: 'annotated',
  sidecarName: 'istio-proxy',
};
const INITIALIZE = 'istio-pod-network-controller/initialize';
const yes = { [INITIALIZE]: 'true' };
const injected = { 'sidecar.istio.io/status': '{}' };

interface Case {
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  /** null: not seen yet. */
  readonly namespaceAnnotations?: Record<string, string> | null;
  readonly enroll?: 'injected';
}

const CASES: readonly (readonly [string, Case, { maybe: boolean; claims: boolean }])[] = [
  ['asks for it', { annotations: yes }, { maybe: true, claims: true }],
  [
    'says no, its Namespace yes',
    { annotations: { [INITIALIZE]: 'false' }, namespaceAnnotations: yes },
    { maybe: false, claims: false },
  ],
  ['says something unclear', { annotations: { [INITIALIZE]: 'True' } }, { maybe: true, claims: false }],
  ['says nothing, nor does its Namespace', {}, { maybe: false, claims: false }],
  ['is injected, and nobody asks', { annotations: injected }, { maybe: false, claims: false }],
  [
    'is injected, and its Namespace asks',
    { annotations: injected, namespaceAnnotations: yes },
    { maybe: true, claims: true },
  ],
  [
    'is injected, and the operator enrolls those',
    { annotations: injected, enroll: 'injected' },
    { maybe: true, claims: true },
  ],
  ['is not injected, and its Namespace asks', { namespaceAnnotations: yes }, { maybe: true, claims: false }],
  [
    'is in a Namespace that says something unclear',
    { namespaceAnnotations: { [INITIALIZE]: '1' } },
    { maybe: true, claims: false },
  ],
  [
    'is in a Namespace that says no',
    { namespaceAnnotations: { [INITIALIZE]: 'false' } },
    { maybe: false, claims: false },
  ],
  [
    'is injected, in a Namespace not seen yet',
    { annotations: injected, namespaceAnnotations: null },
    { maybe: true, claims: false },
  ],
  ['says nothing, in a Namespace not seen yet', { namespaceAnnotations: null }, { maybe: false, claims: false }],
  ['is in an excluded Namespace', { annotations: yes, namespace: 'kube-system' }, { maybe: false, claims: false }],
  [
    'must not be injected',
    { annotations: yes, labels: { 'sidecar.istio.io/inject': 'false' } },
    { maybe: false, claims: false },
  ],
];

describe('the sandbox of a pod that', () => {
  it.each(CASES)('%s', (_, one, expected) => {
    const name = one.namespace ?? 'default';
    const sandbox = { podNamespace: name, labels: one.labels ?? {}, annotations: one.annotations ?? {} };
    const namespace: Namespace | undefined =
      one.namespaceAnnotations === null ? undefined : { name, labels: {}, annotations: one.namespaceAnnotations ?? {} };
    const options = { ...OPTIONS, enroll: one.enroll ?? OPTIONS.enroll };
    expect({
      maybe: mayBeOurs(sandbox, namespace, options),
      claims: claimsCapture(sandbox, namespace, options),
    }).toEqual(expected);
  });

  it('claims capture may always be ours', () => {
    expect(CASES.filter(([, , { maybe, claims }]) => claims && !maybe)).toEqual([]);
  });
});
