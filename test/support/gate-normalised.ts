import { imageEntrypoint } from '../../image/entrypoint.ts';
import { asList, asObject, asString, type JsonObject } from '../../src/admission/json.ts';
import { TEMPLATE_REVISION } from './gate-carriers.ts';
import { GATE } from './cluster.ts';

/** What the server adds to every pod, and what differs from one Namespace or pod to the next. */
const SERVER_FIELDS = ['uid', 'resourceVersion', 'creationTimestamp', 'managedFields', 'generation', 'namespace'];
const OUR_REPORTS = /^pod-network-controller\.istio\.io\/|^kubectl\.kubernetes\.io\/last-applied/;

/**
 * A stored pod without what cannot be equal: names of Namespace and token volume, times, node, the agent's reports, and the token that
 * the API server mounts into every container it sees: also into the gate, unless an admission policy puts that in at the very end.
 */
export function normalised(pod: unknown, namespace: string): JsonObject {
  const text = JSON.stringify(pod)
    .replaceAll(namespace, 'NAMESPACE')
    .replaceAll(/kube-api-access-\w+/g, 'token');
  const { metadata, spec } = asObject(JSON.parse(text));
  const { annotations, ...others } = without(asObject(metadata), SERVER_FIELDS);
  const kept = Object.entries(asObject(annotations)).filter(([key]) => !OUR_REPORTS.test(key));
  const initContainers = asList(asObject(spec).initContainers).map(asObject).map(withoutTokenOfGate);
  return {
    metadata: { ...others, annotations: Object.fromEntries(kept) },
    spec: { ...without(asObject(spec), ['nodeName']), initContainers },
  };
}

function withoutTokenOfGate(container: JsonObject): JsonObject {
  if (container.name !== GATE && container.name !== 'istio-validation') return container;
  const { volumeMounts, ...others } = container;
  const mounts = asList(volumeMounts).filter((mount) => asObject(mount).name !== 'token');
  return mounts.length === 0 ? others : { ...others, volumeMounts: mounts };
}

/**
 * The same without what Istio itself does otherwise for the template: it runs as another revision, and with `pilot.cni.enabled` it stamps
 * what it resolved as annotations, and injects istio-validation in place of istio-init, so that the gate has its name, its two further
 * arguments and its ids; and the template names the verb in the command.
 */
export function acrossModes(pod: JsonObject): JsonObject {
  const text = JSON.stringify(pod)
    .replaceAll(`istiod-${TEMPLATE_REVISION}`, 'istiod')
    .replaceAll(TEMPLATE_REVISION, 'default')
    .replaceAll(/\\"discoveryAddress\\":\\"istiod\.istio-system\.svc:15012\\",/g, '');
  const { metadata, spec } = asObject(JSON.parse(text));
  const { annotations, ...others } = asObject(metadata);
  const kept = Object.entries(asObject(annotations)).filter(([key]) => !STAMPED.test(key));
  const [gate, ...inits] = asList(asObject(spec).initContainers).map(asObject);
  const initContainers = [sameGate(gate ?? {}), ...inits];
  return {
    metadata: { ...others, annotations: Object.fromEntries(kept) },
    spec: { ...asObject(spec), initContainers },
  };
}

const STAMPED = /^traffic\.sidecar\.istio\.io\/|^sidecar\.istio\.io\/(interceptionMode|status)$/;
const ENTRYPOINT = imageEntrypoint();
const OF_VALIDATION = ['--run-validation', '--skip-rule-apply'];

function sameGate({ command, args, securityContext, ...gate }: JsonObject): JsonObject {
  const words = [...asList(command), ...asList(args)].filter((word) => !ENTRYPOINT.includes(asString(word)));
  return {
    ...gate,
    name: gate.name === 'istio-validation' ? GATE : gate.name,
    args: words.filter((word) => !OF_VALIDATION.includes(asString(word))),
    securityContext: without(asObject(securityContext), ['runAsUser', 'runAsGroup']),
  };
}

function without(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}
