import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateCel } from '../../test/support/cel-policy.ts';
import {
  malformed,
  namespaceAnnotations,
  pod as podArbitrary,
  withOtherImages,
} from '../../test/support/gate-arbitraries.ts';
import { GATE_CASES, GATE_NAMESPACES } from '../../test/support/gate-cases.ts';
import { SAMPLE_GATE as settings, SAMPLE_GATELESS as gateless } from '../../test/support/gate-settings.ts';
import { app, istioValidation, proxy } from '../../test/support/gate-containers.ts';
import { REFUSAL_CASES, refusalPod } from '../../test/support/gate-refusals.ts';
import type { Expression } from './expression.ts';
import { type GatedPod, type GateSettings, gatePod, refusalOf } from './gate-pod.ts';
import { CONDITIONS, REFUSALS } from './gated-rule.ts';
import { asList } from './json.ts';
import { obstacle, POD_CHANGES, REFUSES_TO_CHANGE } from './pod-change.ts';

const injected: GateSettings = { ...settings, enroll: 'injected', resources: {} };
const injectedGateless: GateSettings = { ...injected, mode: 'runtime' };
const RUNS = { numRuns: 1_000 };
const settingsArbitrary = fc.constantFrom(settings, injected, gateless, injectedGateless);

describe('the CEL of the MutatingAdmissionPolicy does what gatePod does', () => {
  it.each(GATE_CASES)('with: $title', ({ pod, namespace }) => {
    const annotations = GATE_NAMESPACES[namespace];
    expect(gatedByCel(pod, annotations, settings)).toEqual(gatePod(pod, annotations, settings));
    expect(gatedByCel(pod, annotations, gateless)).toEqual(gatePod(pod, annotations, gateless));
  });

  it('with any pod; a second time does nothing', () => {
    const seen = { container: 0, runtime: 0 };
    let obstructed = 0;
    const property = fc.property(podArbitrary, namespaceAnnotations, settingsArbitrary, (pod, annotations, chosen) => {
      const result = gatePod(pod, annotations, chosen);
      const { pod: after, gated } = result;
      if (result.obstacle !== undefined) obstructed += 1;
      if (gated) seen[chosen.mode] += 1;
      expect(gatedByCel(pod, annotations, chosen)).toEqual(result);
      expect(gatePod(after, annotations, chosen)).toEqual({ ...result, pod: after, gated: false });
      // What the one lets through the other must not refuse for its gate, and what the one cannot change the other refuses.
      if (gated) expect(refusalOf(after, annotations, chosen)).toBeUndefined();
      if (result.obstacle !== undefined) expect(refusalOf(pod, annotations, chosen)).toContain(result.obstacle);
    });
    fc.assert(property, RUNS);
    expect(seen.container).toBeGreaterThan(50);
    expect(seen.runtime).toBeGreaterThan(20);
    expect(obstructed).toBeGreaterThan(5);
  });
});

describe('the CEL of the "gated" policy says what refusalOf says', () => {
  it.each(REFUSAL_CASES)('of: $title', ({ annotations, spec, oldSpec, refused }) => {
    const pod = refusalPod(annotations, spec);
    const oldPod = oldSpec === undefined ? undefined : refusalPod(annotations, oldSpec);
    const message = refusalOf(pod, {}, settings, oldPod);
    if (refused === undefined) expect(message).toBeUndefined();
    else expect(message).toContain(refused);
    expect(refusalByCel(pod, {}, settings, oldPod)).toBe(message);
  });

  it('of any new pod', () => {
    const seen = new Set<string | undefined>();
    const property = fc.property(podArbitrary, namespaceAnnotations, settingsArbitrary, (pod, annotations, chosen) => {
      const message = refusalOf(pod, annotations, chosen);
      seen.add(message?.slice(0, 20));
      expect(refusalByCel(pod, annotations, chosen)).toBe(message);
    });
    fc.assert(property, RUNS);
    // Of either mode; the rarest, a pod for nodes without the validator, may not come up.
    expect(seen.size).toBeGreaterThanOrEqual(5);
  });

  it('of any update', () => {
    let refusals = 0;
    const change = podArbitrary.chain((before) => fc.tuple(fc.constant(before), withOtherImages(before)));
    const property = fc.property(
      change,
      namespaceAnnotations,
      settingsArbitrary,
      ([before, pod], annotations, chosen) => {
        const message = refusalOf(pod, annotations, chosen, before);
        if (message !== undefined) refusals += 1;
        expect(refusalByCel(pod, annotations, chosen, before)).toBe(message);
      },
    );
    fc.assert(property, RUNS);
    expect(refusals).toBeGreaterThan(20);
  });

  it('of a pod that opts out of its opted-in Namespace and then swaps the image of istio-validation', () => {
    const annotations = { 'istio-pod-network-controller/initialize': 'false' };
    const [before, pod] = ['a:1', 'b:2'].map((image) =>
      refusalPod(annotations, { initContainers: [{ ...istioValidation, image }], containers: [app, proxy] }),
    );
    expect(refusalOf(pod, {}, settings, before)).toBeUndefined();
    expect(refusalOf(pod, GATE_NAMESPACES['gate-opted-in'], settings, before)).toContain('image of the gate');
  });

  it('and its messages are of one line each, with the value that switches the check off', () => {
    const messages = REFUSAL_CASES.map(({ annotations, spec, oldSpec }) => {
      const oldPod = oldSpec === undefined ? undefined : refusalPod(annotations, oldSpec);
      return refusalOf(refusalPod(annotations, spec), {}, settings, oldPod);
    });
    const said = new Set(messages.filter((message) => message !== undefined));
    expect(said.size).toBeGreaterThan(REFUSALS.container.length);
    for (const message of said) {
      expect(message).toMatch(/^[^\n]{50,700}$/);
      expect(message).toContain('--set policies.gate=false');
    }
  });
});

describe('what is no pod', () => {
  it('is neither changed nor refused, whatever it is', () => {
    const property = fc.property(malformed, (value) => {
      const { pod, gated } = gatePod(value, {}, settings);
      if (!gated) expect(pod).toBe(value);
      refusalOf(value, {}, settings);
    });
    fc.assert(property, RUNS);
  });
});

function gatedByCel(pod: unknown, annotations: Readonly<Record<string, string>>, chosen: GateSettings): GatedPod {
  const inputs = inputsOf(pod, annotations);
  const cel = (expression: Expression) => evaluateCel(expression, chosen, inputs);
  if (cel(REFUSES_TO_CHANGE[chosen.mode]) === true) return { pod, gated: false, obstacle: String(cel(obstacle)) };
  const change = POD_CHANGES[chosen.mode];
  if (cel(change.when) !== true) return { pod, gated: false };
  const { metadata, spec, ...rest } = Object(pod);
  const set = (parent: Record<string, unknown>, field: string, pairs: Expression) => {
    const entries = asList(cel(pairs)).map((pair): [string, unknown] => [String(asList(pair)[0]), asList(pair)[1]]);
    return entries.length === 0
      ? parent
      : { ...parent, [field]: { ...Object(parent[field]), ...Object.fromEntries(entries) } };
  };
  const after = {
    ...rest,
    metadata: set(metadata, 'annotations', change.annotations),
    spec: { ...set(spec, 'nodeSelector', change.nodeSelector), initContainers: cel(change.initContainers) },
  };
  return { pod: after, gated: true };
}

/** As the API server does it: the conditions first, then one validation after the other. */
function refusalByCel(
  pod: unknown,
  annotations: Readonly<Record<string, string>>,
  chosen: GateSettings,
  oldPod?: unknown,
): unknown {
  const inputs = inputsOf(pod, annotations, oldPod);
  if (Object.values(CONDITIONS).some((one) => evaluateCel(one, chosen, inputs) !== true)) return undefined;
  const refusal = REFUSALS[chosen.mode].find(({ when }) => evaluateCel(when, chosen, inputs) === true);
  return refusal === undefined ? undefined : evaluateCel(refusal.message, chosen, inputs);
}

function inputsOf(object: unknown, annotations: Readonly<Record<string, string>>, oldObject: unknown = null) {
  const operation = oldObject === null ? ('CREATE' as const) : ('UPDATE' as const);
  return { object, oldObject, namespaceObject: { metadata: { annotations } }, request: { operation } };
}
