import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateCel } from '../../test/support/cel-policy.ts';
import {
  namespaceAnnotations,
  pluginAnnotations,
  pod as podArbitrary,
  withOtherMetadata,
} from '../../test/support/gate-arbitraries.ts';
import { refusalPod } from '../../test/support/gate-refusals.ts';
import { SAMPLE_GATE, SAMPLE_GATELESS as settings } from '../../test/support/gate-settings.ts';
import {
  BINDING_CASES,
  GATELESS_CASES,
  GATELESS_REFUSALS,
  HELD_CASES,
  VALIDATOR_LABEL,
} from '../../test/support/gateless-cases.ts';
import { ARGUMENTS_ANNOTATION } from '../capture/carried-arguments.ts';
import { NO_DEFAULTS } from '../capture/policy.ts';
import { resolvePolicy } from '../capture/resolve.ts';
import { requiresPlugin } from '../enrollment/required-plugins.ts';
import { parsePod } from '../pod/parse-pod.ts';
import { evaluate } from './evaluate.ts';
import { literal } from './expression.ts';
import { gatePod, heldRefusalOf, refusalOf } from './gate-pod.ts';
import { requiresPluginIn } from './gateless-rule.ts';
import { annotations } from './gate-rule.ts';
import { HELD_CONDITIONS, HELD_REFUSALS } from './held-rule.ts';
import { asList, asObject, type JsonObject } from './json.ts';

describe('a pod that the runtime holds back', () => {
  it.each(GATELESS_CASES)('$title', ({ annotations: own, spec, expected, obstacle }) => {
    const pod = refusalPod(own, spec);
    const before = structuredClone(pod);
    const result = gatePod(pod, {}, settings);
    expect(pod).toEqual(before);
    expect(result.obstacle ?? '').toContain(obstacle ?? '');
    expect(result.obstacle === undefined).toBe(obstacle === undefined);
    if (expected === undefined) {
      expect(result.pod).toBe(pod);
      return;
    }
    const after = asObject(result.pod);
    const afterSpec = asObject(after.spec);
    expect(asList(afterSpec.initContainers).map((one) => asObject(one).name)).toEqual(expected.initContainers);
    expect(asObject(after.metadata).annotations).toEqual({ ...own, ...expected.annotations });
    expect(afterSpec.nodeSelector).toEqual(expected.nodeSelector ?? VALIDATOR_LABEL);
    expect({ ...afterSpec, initContainers: 0, nodeSelector: 0 }).toEqual({
      ...asObject(spec),
      automountServiceAccountToken: false,
      initContainers: 0,
      nodeSelector: 0,
    });
    expect(gatePod(after, {}, settings)).toEqual({ pod: after, gated: false });
    expect(refusalOf(after, {}, settings)).toBeUndefined();
  });

  it.each(GATELESS_REFUSALS)('is judged by the "gated" policy: $title', ({ annotations: own, spec, refused }) => {
    const message = refusalOf(refusalPod(own, spec), {}, settings);
    if (refused === undefined) expect(message).toBeUndefined();
    else expect(message).toContain(refused);
    if (message !== undefined) expect(message).toMatch(/^[^\n]{50,900}--set policies\.gate=false\.$/);
  });

  it('is refused where gates are containers', () => {
    const [held] = GATELESS_REFUSALS;
    expect(refusalOf(refusalPod(held?.annotations ?? {}, held?.spec ?? {}), {}, SAMPLE_GATE)).toContain('has no gate');
  });
});

describe('what the agent makes of a pod', () => {
  it('is the same with a gate and without, whatever Istio resolved', () => {
    let captured = 0;
    let refused = 0;
    const property = fc.property(podArbitrary, namespaceAnnotations, (pod, ofNamespace) => {
      const without = gatePod(pod, ofNamespace, settings);
      // Where a gate is only moved, nothing changes hands.
      if (!without.gated || gatesOf(without.pod).length > 0) return;
      const [one, other] = [gatePod(withoutCarried(pod), ofNamespace, SAMPLE_GATE).pod, without.pod].map(policyOf);
      expect(other).toEqual(one);
      if (one?.ok === true) captured += 1;
      else refused += 1;
    });
    fc.assert(property, { numRuns: 3_000 });
    expect(captured).toBeGreaterThan(50);
    expect(refused).toBeGreaterThan(5);
  });
});

describe('the "held" policy', () => {
  it.each(HELD_CASES)('says of an update: $title', ({ before, after, labels, refused }) => {
    const [old, young] = [metadataOf(before), metadataOf(after, labels)];
    const message = heldRefusalOf(young, {}, settings, old);
    if (refused === undefined) expect(message).toBeUndefined();
    else expect(message).toContain(refused);
    expect(heldByCel(young, {}, old)).toBe(message);
  });

  it.each(BINDING_CASES)('says of a Binding that brings $title', ({ annotations: brought, refused }) => {
    const message = heldRefusalOf(metadataOf(brought), {}, settings);
    if (refused === undefined) expect(message).toBeUndefined();
    else expect(message).toContain(`a Binding must not set what decides on the capture of its pod: ${refused}`);
    expect(heldByCel(metadataOf(brought), {})).toBe(message);
  });

  it('lets a pod go that its Namespace let go: a controller takes its finalizers off', () => {
    const held = { ...HELD_CASES[0]?.before, 'istio-pod-network-controller/initialize': '' };
    const without = metadataOf({ ...held, a: 'b' });
    expect(heldRefusalOf(without, {}, settings, metadataOf(held))).toBeUndefined();
    const asking = { 'istio-pod-network-controller/initialize': 'true' };
    const optedOut = metadataOf({ ...held, 'istio-pod-network-controller/initialize': 'false' });
    expect(heldRefusalOf(without, asking, settings, metadataOf(held))).toBeUndefined();
    expect(heldRefusalOf(optedOut, asking, settings, metadataOf(held))).toContain('must not opt out');
  });

  it('says in CEL what it says here, of any update', () => {
    const said = new Set<string | undefined>();
    const change = podArbitrary
      .chain((pod) => fc.constantFrom(pod, asFields(gatePod(pod, { ...ASKS }, settings).pod)))
      .chain((before) => fc.tuple(fc.constant(before), withOtherMetadata(before)));
    const property = fc.property(change, namespaceAnnotations, ([before, pod], ofNamespace) => {
      const message = heldRefusalOf(pod, ofNamespace, settings, before);
      said.add(message?.slice(0, 30));
      expect(heldByCel(pod, ofNamespace, before)).toBe(message);
    });
    fc.assert(property, { numRuns: 1_000 });
    expect(said.size).toBe(4);
  });
});

describe('requiresPlugin', () => {
  it('says what the rule says', () => {
    const property = fc.property(pluginAnnotations, (own) => {
      const scope = { inputs: { object: { metadata: { annotations: own } } }, settings: {} };
      expect(evaluate(requiresPluginIn(annotations), scope)).toBe(requiresPlugin(own));
    });
    fc.assert(property, { numRuns: 2_000 });
  });
});

const ASKS = { 'istio-pod-network-controller/initialize': 'true' };

function policyOf(pod: unknown) {
  const { metadata, ...rest } = asObject(pod);
  const parsed = parsePod({ ...rest, metadata: { ...asObject(metadata), name: 'a' } });
  return resolvePolicy(parsed, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
}

/** What an author, or another pod's manifest, left there counts for neither. */
function withoutCarried(pod: JsonObject): JsonObject {
  const metadata = asObject(pod.metadata);
  const { [ARGUMENTS_ANNOTATION]: _, ...others } = asObject(metadata.annotations);
  return { ...pod, metadata: { ...metadata, annotations: others } };
}

function gatesOf(pod: unknown): readonly unknown[] {
  return asList(asObject(asObject(pod).spec).initContainers).filter((one) => asObject(one).name === settings.name);
}

function metadataOf(own: object, labels: object = {}): JsonObject {
  return { metadata: { annotations: own, labels }, spec: { containers: [] } };
}

function asFields(pod: unknown): JsonObject {
  return asObject(pod);
}

/** As the API server does it. */
function heldByCel(object: unknown, ofNamespace: Readonly<Record<string, string>>, oldObject: unknown = null): unknown {
  const operation = oldObject === null ? ('CREATE' as const) : ('UPDATE' as const);
  const inputs = {
    object,
    oldObject,
    namespaceObject: { metadata: { annotations: ofNamespace } },
    request: { operation },
  };
  if (Object.values(HELD_CONDITIONS).some((one) => evaluateCel(one, settings, inputs) !== true)) return undefined;
  const refusal = HELD_REFUSALS.find(({ when }) => evaluateCel(when, settings, inputs) === true);
  return evaluateCel(refusal?.message ?? literal(''), settings, inputs) || undefined;
}
