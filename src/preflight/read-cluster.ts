import * as v from 'valibot';
import { STATUS_ANNOTATION } from '../agent/report.ts';
import { requiresPlugin } from '../enrollment/required-plugins.ts';
import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import type { DaemonSetFacts, IstiodFacts, MeshPod, NamespaceFacts, NodeFacts } from './facts.ts';

/** Objects as the API gives them → facts. An object that is not as expected is left out: a check must not fail for a stranger's field. */

const text = v.fallback(v.optional(v.string(), ''), '');
const map = v.fallback(v.optional(v.record(v.string(), v.string()), {}), {});
const flag = v.fallback(v.optional(v.boolean(), false), false);

const Named = v.object({ name: v.string(), namespace: text, labels: map, annotations: map });

const NodeShape = v.object({
  metadata: Named,
  status: v.object({
    nodeInfo: v.object({
      operatingSystem: text,
      architecture: text,
      kernelVersion: text,
      containerRuntimeVersion: text,
      kubeletVersion: text,
      osImage: text,
    }),
  }),
});

export function readNode(object: unknown): readonly NodeFacts[] {
  return read(NodeShape, object, ({ metadata, status: { nodeInfo } }) => ({
    name: metadata.name,
    os: nodeInfo.operatingSystem,
    arch: nodeInfo.architecture,
    kernel: nodeInfo.kernelVersion,
    runtime: nodeInfo.containerRuntimeVersion,
    kubelet: nodeInfo.kubeletVersion,
    osImage: nodeInfo.osImage,
  }));
}

export function readNamespace(object: unknown): readonly NamespaceFacts[] {
  return read(v.object({ metadata: Named }), object, ({ metadata }) => ({
    name: metadata.name,
    labels: metadata.labels,
    annotations: only(metadata.annotations, INITIALIZE_ANNOTATION),
  }));
}

const Containers = v.fallback(
  v.optional(
    v.array(
      v.object({
        name: v.string(),
        image: text,
        args: v.fallback(v.optional(v.array(v.string()), []), []),
        securityContext: v.fallback(v.optional(v.object({ privileged: flag })), undefined),
      }),
    ),
    [],
  ),
  [],
);
const PodSpec = v.object({ hostPID: flag, initContainers: Containers, containers: Containers });

/** Nothing for pods that are neither ours nor Istio's. */
export function readMeshPod(object: unknown): readonly MeshPod[] {
  const pods = read(v.object({ metadata: Named, spec: PodSpec }), object, ({ metadata, spec }): MeshPod => {
    const inits = spec.initContainers.map(({ name }) => name);
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      initialize: metadata.annotations[INITIALIZE_ANNOTATION],
      sidecar: [...spec.initContainers, ...spec.containers].some(({ name }) => name === 'istio-proxy'),
      init: requiresPlugin(metadata.annotations) ? 'runtime' : initOf(inits, spec.initContainers),
      reported: metadata.annotations[STATUS_ANNOTATION] !== undefined,
    };
  });
  return pods.filter(({ initialize, sidecar }) => sidecar || initialize !== undefined);
}

function initOf(
  names: readonly string[],
  containers: readonly { readonly args: readonly string[] }[],
): MeshPod['init'] {
  const ours = names.includes('istio-pod-network-controller-gate') || containers.some(({ args }) => args[0] === 'init');
  if (ours) return 'gate';
  if (names.includes('istio-init')) return 'istio-init';
  return names.includes('istio-validation') ? 'istio-validation' : 'none';
}

const DaemonSetShape = v.object({ metadata: Named, spec: v.object({ template: v.object({ spec: PodSpec }) }) });

export function readDaemonSet(object: unknown): readonly DaemonSetFacts[] {
  return read(DaemonSetShape, object, ({ metadata, spec: { template } }) => ({
    namespace: metadata.namespace,
    name: metadata.name,
    images: template.spec.containers.map(({ image }) => image),
    labels: only(metadata.labels, 'app.kubernetes.io/version', 'app.kubernetes.io/name', 'k8s-app'),
    hostPid: template.spec.hostPID,
    privileged: template.spec.containers.some(({ securityContext }) => securityContext?.privileged === true),
  }));
}

const IstiodShape = v.object({
  metadata: Named,
  spec: v.object({ template: v.object({ spec: PodSpec }) }),
  status: v.fallback(v.optional(v.object({ availableReplicas: v.fallback(v.optional(v.number(), 0), 0) })), undefined),
});

export function readIstiod(object: unknown): readonly IstiodFacts[] {
  return read(IstiodShape, object, ({ metadata, spec, status }) => ({
    namespace: metadata.namespace,
    name: metadata.name,
    revision: metadata.labels['istio.io/rev'] ?? 'default',
    image: spec.template.spec.containers[0]?.image ?? '',
    available: status?.availableReplicas ?? 0,
  }));
}

const WebhookShape = v.object({
  metadata: Named,
  webhooks: v.fallback(v.optional(v.array(v.object({ name: text })), []), []),
});

/** The name of a MutatingWebhookConfiguration of Istio's injector, also of a revision tag's. */
export function readInjectorWebhook(object: unknown): readonly string[] {
  return read(WebhookShape, object, ({ metadata, webhooks }) =>
    webhooks.some(({ name }) => name.endsWith('sidecar-injector.istio.io')) ? metadata.name : '',
  ).filter((name) => name !== '');
}

function read<S extends v.GenericSchema, T>(
  schema: S,
  object: unknown,
  as: (value: v.InferOutput<S>) => T,
): readonly T[] {
  const parsed = v.safeParse(schema, object);
  return parsed.success ? [as(parsed.output)] : [];
}

function only(values: Readonly<Record<string, string>>, ...keys: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.flatMap((key) => (values[key] === undefined ? [] : [[key, values[key]]])));
}
