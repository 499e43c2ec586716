import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ControllerError } from '../../errors.ts';
import { gatePod } from '../gate-pod.ts';
import { asList, asObject, type JsonObject } from '../json.ts';
import { GATE_SETTINGS, injectedPod, reviewOf } from './fake-review.ts';
import { recordingLog, silentMetrics } from './recording.ts';
import { createReviewer, type ReviewerOptions } from './reviewer.ts';

const INITIALIZE = 'istio-pod-network-controller/initialize';
const YES = { [INITIALIZE]: 'true' };

describe('a review', () => {
  it('puts the gate in with one operation, and names nothing else of the pod', async () => {
    const pod = injectedPod();
    const { response, patch } = await review(reviewOf(pod));
    expect(response).toMatchObject({ uid: 'a-uid', allowed: true, patchType: 'JSONPatch' });
    expect(patch.map(({ op, path }) => [op, path])).toEqual([['replace', '/spec/initContainers']]);
    expect(applied(pod, patch)).toEqual(gatePod(pod, {}, GATE_SETTINGS).pod);
    expect(asObject(asList(asObject(asObject(applied(pod, patch)).spec).containers)[0])).toEqual(
      asObject(asList(asObject(pod.spec).containers)[0]),
    );
  });

  it('takes istio-init out and puts nothing in where the runtime holds pods back', async () => {
    const settings = { ...GATE_SETTINGS, mode: 'runtime' as const, nodeSelector: { 'example.com/holds': 'true' } };
    const pod = injectedPod();
    const { response, patch } = await review(reviewOf(pod), { settings });
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
    expect(patch.map(({ op, path }) => [op, path])).toEqual([
      ['replace', '/metadata/annotations'],
      ['replace', '/spec/initContainers'],
      ['add', '/spec/nodeSelector'],
    ]);
    const after = applied(pod, patch);
    expect(after).toEqual(gatePod(pod, {}, settings).pod);
    expect((await review(reviewOf(after), { settings })).response).toEqual({ uid: 'a-uid', allowed: true });
  });

  it('refuses a pod that could not do without a gate, and says what to write', async () => {
    const settings = { ...GATE_SETTINGS, mode: 'runtime' as const };
    const plugins = { 'required-plugins.noderesource.dev': '[other]' };
    const { response } = await review(reviewOf(injectedPod({ ...YES, ...plugins })), { settings });
    expect(response).toMatchObject({ allowed: false, status: { code: 400 } });
    expect(String(asObject(response.status).message)).toMatch(/^shop\/reviews-\*: annotation .*write it as JSON/);
    // Of a pod that did not ask nothing is said.
    expect((await review(reviewOf(injectedPod(plugins)), { settings })).response).toMatchObject({ allowed: true });
  });

  it('changes nothing the second time', async () => {
    const once = await review(reviewOf(injectedPod()));
    const again = await review(reviewOf(applied(injectedPod(), once.patch)));
    expect(again.response).toEqual({ uid: 'a-uid', allowed: true });
  });

  it('leaves a pod alone that did not ask', async () => {
    const { response } = await review(reviewOf(injectedPod({})));
    expect(response).toEqual({ uid: 'a-uid', allowed: true });
  });

  it.each<[string, JsonObject]>([
    ['an update', { operation: 'UPDATE' }],
    ['a binding', { subResource: 'binding' }],
    ['another kind', { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }],
    ['pods of another group', { resource: { group: 'metrics.k8s.io', version: 'v1', resource: 'pods' } }],
  ])('allows %s as it is', async (_, changes) => {
    const { response } = await review(reviewOf(injectedPod(), changes));
    expect(response).toEqual({ uid: 'a-uid', allowed: true });
  });

  it.each<[string, unknown, string]>([
    ['no object', undefined, 'spec'],
    ['a container without a name', { ...injectedPod(), spec: { containers: [{}] } }, 'containers.0.name'],
    ['an annotation that is no text', { ...injectedPod(), metadata: { annotations: { a: 1 } } }, 'annotations.a'],
    ['init containers that are an object', { ...injectedPod(), spec: { initContainers: { a: 1 } } }, 'initContainers'],
  ])('refuses what it cannot read: %s', async (_, object, field) => {
    const { response } = await review(reviewOf(object));
    expect(response).toMatchObject({ allowed: false, status: { code: 400 } });
    expect(String(asObject(response.status).message)).toContain(field);
    expect(response.patch).toBeUndefined();
  });

  it('names the pod in the log, and never its contents', async () => {
    const log = recordingLog();
    await review(reviewOf(injectedPod()), { log });
    expect(log.lines).toEqual(['info gated {"pod":"shop/reviews-*","uid":"a-uid"}']);
  });
});

describe('the Namespace of a pod that leaves it to its Namespace', () => {
  const silent = reviewOf(injectedPod({}));

  it('counts as the watch has it', async () => {
    expect((await review(silent, { known: YES })).patch).toHaveLength(1);
  });

  it('is read afresh where the watch says no: the API server knows something newer', async () => {
    expect((await review(silent, { known: {}, afresh: YES })).patch).toHaveLength(1);
    expect((await review(silent, { known: {}, afresh: {} })).patch).toHaveLength(0);
  });

  it('refuses the pod when it cannot be read', async () => {
    const gone = new ControllerError('ApiUnavailable', 'get namespaces: no answer within 2000 ms');
    for (const answers of [{ known: gone }, { known: {}, afresh: gone }]) {
      const { response } = await review(silent, answers);
      expect(response).toMatchObject({ allowed: false, status: { code: 503 } });
      expect(String(asObject(response.status).message)).toContain(
        'shop/reviews-*: get namespaces: no answer within 2000 ms',
      );
    }
  });

  it('is not asked afresh for a pod that speaks for itself', async () => {
    const asked = new Error('must not be asked');
    expect(
      (await review(reviewOf(injectedPod({ [INITIALIZE]: 'false' })), { known: {}, afresh: asked })).patch,
    ).toEqual([]);
    expect((await review(reviewOf(injectedPod()), { known: {}, afresh: asked })).patch).toHaveLength(1);
  });
});

describe('any body at all', () => {
  const hostile = () => fc.oneof(fc.json({ maxDepth: 6 }), fc.string(), mutated());

  it('is answered or called malformed, never more', async () => {
    await fc.assert(
      fc.asyncProperty(hostile(), async (body) => {
        try {
          const { response } = await reviewText(body, {});
          expect(typeof response.allowed).toBe('boolean');
          if (response.allowed === false) expect(asObject(response.status).message).toBeTypeOf('string');
        } catch (error: unknown) {
          expect(error).toMatchObject({ code: 'ApiReply' });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('survives depth', async () => {
    const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`;
    await expect(reviewText(deep, {})).rejects.toMatchObject({ code: 'ApiReply' });
    const inside = JSON.stringify(reviewOf('HERE')).replace('"HERE"', `{"metadata":{"annotations":${deep}}}`);
    expect((await reviewText(inside, {})).response.allowed).toBe(false);
  });

  /** A valid review in which some value has become something else. */
  function mutated() {
    const whole = JSON.stringify(reviewOf(injectedPod()));
    const places = [...whole.matchAll(/(?<=[:[,])("[^"]*"|null|false|\{\}|\[\])/g)];
    return fc
      .tuple(
        fc.constantFrom(...places),
        fc.oneof(fc.json(), fc.constantFrom('""', 'null', '1e400', '-0', '"__proto__"')),
      )
      .map(([place, value]) => whole.slice(0, place.index) + value + whole.slice(place.index + place[0].length));
  }
});

interface Answers {
  readonly known?: Readonly<Record<string, string>> | Error;
  readonly afresh?: Readonly<Record<string, string>> | Error;
  readonly log?: ReviewerOptions['log'];
  readonly settings?: ReviewerOptions['settings'];
}

function review(object: JsonObject, answers: Answers = {}) {
  return reviewText(JSON.stringify(object), answers);
}

async function reviewText(body: string, answers: Answers) {
  const { known = {}, afresh = {}, log = recordingLog(), settings = GATE_SETTINGS } = answers;
  const give = async (value: Readonly<Record<string, string>> | Error) => {
    if (value instanceof Error) throw value;
    return value;
  };
  const namespaces = { annotationsOf: () => give(known), askedAfresh: () => give(afresh) };
  const reviewer = createReviewer({ settings, namespaces, log, metrics: silentMetrics });
  const response = asObject(asObject(await reviewer(body)).response);
  const patch: { op: string; path: string; value: unknown }[] =
    typeof response.patch === 'string' ? JSON.parse(Buffer.from(response.patch, 'base64').toString('utf8')) : [];
  return { response, patch };
}

/** What the API server makes of the operations that are used here. */
function applied(pod: JsonObject, patch: readonly { path: string; value: unknown }[]): JsonObject {
  const result = structuredClone({ ...pod });
  for (const { path, value } of patch) {
    const [part = '', name = ''] = path.split('/').slice(1);
    result[part] = { ...asObject(result[part]), [name]: value };
  }
  return result;
}
