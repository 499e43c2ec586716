import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import { gateName, heldByGate, isGateName } from './gate-container.ts';

const GATE = 'istio-pod-network-controller-gate';

function podWith(...initContainers: readonly object[]) {
  return parsePod({
    metadata: { name: 'a', namespace: 'default' },
    spec: { initContainers, containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
  });
}

describe('the gate of a pod', () => {
  it.each([
    ['of the chart', { name: GATE, args: ['init'] }, GATE, true],
    ['of another name, with inherited arguments', { name: 'own', args: ['init', '--', 'istio-iptables'] }, 'own', true],
    [
      "that is Istio's own check",
      { name: 'istio-validation', args: ['istio-iptables', '-p', '15001'] },
      'istio-validation',
      true,
    ],
    [
      'that nobody can tell from another program with that verb',
      { name: 'terraform', args: ['init'] },
      'terraform',
      false,
    ],
    ['that is none: istio-init writes rules', { name: 'istio-init', args: ['istio-iptables'] }, undefined, false],
    ['that is none', { name: 'other' }, undefined, false],
  ] as const)('%s', (_, container, name, holds) => {
    const pod = podWith(container);
    expect(gateName(pod)).toBe(name);
    expect(heldByGate(pod, 'app')).toBe(holds);
    expect(heldByGate(pod, container.name)).toBe(holds);
  });

  it('does not hold the init containers before it', () => {
    const pod = podWith({ name: 'first' }, { name: GATE }, { name: 'second' });
    expect(['first', GATE, 'second', 'app'].map((name) => heldByGate(pod, name))).toEqual([false, true, true, true]);
  });

  it('may be known by its name alone, where nothing else is known', () => {
    expect([GATE, 'istio-validation', 'istio-init', 'app'].map((name) => isGateName(name))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
