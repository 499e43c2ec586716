import { isDeepStrictEqual } from 'node:util';
import { INITIALIZE_ANNOTATION } from '../../enrollment/decide.ts';
import { asList, asObject, asString, type JsonObject } from '../json.ts';
import { certificatesIn } from './certificate.ts';
import type { Registration } from './types.ts';

/** The part of the entries that flags decide. */
export interface EntrySettings {
  readonly service: { readonly namespace: string; readonly name: string };
  readonly failurePolicy: 'Fail' | 'Ignore';
  /** Never matched; the own Namespace is always one of them. */
  readonly excludedNamespaces: readonly string[];
  /** As in GateSettings. */
  readonly enroll: 'annotated' | 'injected';
}

export const PODS_ENTRY = 'pods.gate.pod-network-controller.istio.io';
export const NAMESPACES_ENTRY = 'namespaces.gate.pod-network-controller.istio.io';
const OURS = [PODS_ENTRY, NAMESPACES_ENTRY];

/** Set by every API server since 1.21, and not to be changed. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Kubernetes supports clusters up to this many; their names fit into one object (1.5 MiB) with room to spare. */
export const NAMESPACES_MAX = 10_000;

/**
 * The webhooks of the configuration. Every field that has a default is written out, so that what comes back can be compared.
 * The conditions must not depend on anything Istio's webhook does: one that was not met at first is not asked again after it.
 */
export function entries({ namespaces, authorities }: Registration, settings: EntrySettings): readonly JsonObject[] {
  const base = entryBase(authorities, settings);
  const excluded = new Set(settings.excludedNamespaces);
  const asked = namespaces
    .filter((name) => !excluded.has(name))
    .toSorted()
    .slice(0, NAMESPACES_MAX);
  const pods = {
    ...base,
    name: PODS_ENTRY,
    namespaceSelector: selector('NotIn', settings.excludedNamespaces),
    matchConditions: [{ name: 'asks', expression: asksItself(settings.enroll) }, ...NEVER_GATED],
  };
  if (asked.length === 0) return [pods];
  const byNamespace = {
    ...base,
    name: NAMESPACES_ENTRY,
    namespaceSelector: selector('In', asked),
    // The pods entry takes care of those that ask themselves; who says "false" is not asked at all.
    matchConditions: [{ name: 'leaves-it-to-the-namespace', expression: LEAVES_IT }, ...NEVER_GATED],
  };
  return [byNamespace, pods];
}

/** How a configuration stands to the entries it should have. */
export interface Standing {
  /** Our entries are exactly these. Entries of others are none of our business. */
  readonly equal: boolean;
  /** Entries of others. */
  readonly others: readonly JsonObject[];
  /** Our entry that is always wanted is there, whatever it says. */
  readonly registered: boolean;
  /** Namespaces that are matched now. */
  readonly namespaces: readonly string[];
  /** CAs that every entry of ours carries now. */
  readonly carried: readonly string[];
  /** CAs that any entry of ours carries now. */
  readonly mentioned: readonly string[];
}

export function standing(configuration: unknown, wanted: readonly JsonObject[]): Standing {
  const live = asList(asObject(configuration).webhooks).map(asObject);
  const ours = live.filter((entry) => OURS.includes(asString(entry.name)));
  const equal =
    ours.length === wanted.length &&
    wanted.every((entry) => ours.some((other) => covers(other, entry) && other.name === entry.name));
  const [first = [], ...others] = ours.map(authoritiesOf);
  return {
    equal,
    others: live.filter((entry) => !ours.includes(entry)),
    registered: ours.some((entry) => entry.name === PODS_ENTRY),
    namespaces: matchedNamespaces(ours),
    carried: first.filter((pem) => others.every((bundle) => bundle.includes(pem))),
    mentioned: [first, ...others].flat(),
  };
}

/** Every field we set is as we set it. A field of a newer API that has a default of its own does not count as a change. */
function covers(live: JsonObject, wanted: JsonObject): boolean {
  return Object.entries(wanted).every(([field, value]) => {
    if (field !== 'clientConfig') return isDeepStrictEqual(live[field], value);
    // Without a bundle of ours the field belongs to somebody else.
    return Object.entries(asObject(value)).every(([key, part]) => isDeepStrictEqual(asObject(live[field])[key], part));
  });
}

function matchedNamespaces(ours: readonly JsonObject[]): readonly string[] {
  const entry = ours.find((candidate) => candidate.name === NAMESPACES_ENTRY);
  const [expression] = asList(asObject(entry?.namespaceSelector).matchExpressions).map(asObject);
  return asList(expression?.values).map(asString);
}

function authoritiesOf(entry: JsonObject): readonly string[] {
  const bundle = asString(asObject(entry.clientConfig).caBundle);
  return certificatesIn(Buffer.from(bundle, 'base64').toString('latin1'));
}

function entryBase(authorities: readonly string[] | undefined, settings: EntrySettings): JsonObject {
  const caBundle =
    authorities === undefined ? {} : { caBundle: Buffer.from(`${authorities.join('\n')}\n`).toString('base64') };
  return {
    clientConfig: { service: { ...settings.service, path: '/gate', port: 443 }, ...caBundle },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
    admissionReviewVersions: ['v1'],
    failurePolicy: settings.failurePolicy,
    matchPolicy: 'Equivalent',
    objectSelector: {},
    // Istio's webhook, or another one after it, may change the pod: then we are asked again.
    reinvocationPolicy: 'IfNeeded',
    sideEffects: 'None',
    timeoutSeconds: 5,
  };
}

function selector(operator: 'In' | 'NotIn', values: readonly string[]): JsonObject {
  return { matchExpressions: [{ key: NAME_LABEL, operator, values: [...values].toSorted() }] };
}

/** A text that is "" where the map or the key is missing. Without optional types: those came with 1.29, conditions with 1.28. */
function valueOf(map: 'annotations' | 'labels', key: string): string {
  return `(has(object.metadata.${map}) && '${key}' in object.metadata.${map} ? object.metadata.${map}['${key}'] : '')`;
}

const OWN_WORD = valueOf('annotations', INITIALIZE_ANNOTATION);
const LEAVES_IT = `!(${OWN_WORD} in ['true', 'false'])`;

function asksItself(enroll: EntrySettings['enroll']): string {
  const asks = `${OWN_WORD} == 'true'`;
  if (enroll === 'annotated') return asks;
  // Set by Istio's webhook, which ran before this one; it cannot be missing at first and come later.
  const injected = "has(object.metadata.annotations) && 'sidecar.istio.io/status' in object.metadata.annotations";
  return `${asks} || (${LEAVES_IT} && ${injected})`;
}

/** Pods that a gate is never put into, by what they say themselves: an outage of the webhook must not reach them. */
const NEVER_GATED = [
  { name: 'not-host-network', expression: '!has(object.spec.hostNetwork) || !object.spec.hostNetwork' },
  { name: 'not-without-sidecar', expression: `${valueOf('labels', 'sidecar.istio.io/inject')} != 'false'` },
] as const;
