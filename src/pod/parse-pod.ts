import * as v from 'valibot';
import { ControllerError } from '../errors.ts';
import type { Container, Namespace, Pod, SecurityContext } from './pod.ts';

/** `null` means absent in Kubernetes JSON; fields we do not read are ignored on purpose: a newer API must not stop the agent. */
const text = v.nullish(v.string(), '');
const texts = v.nullish(v.array(v.string()), []);
const map = v.nullish(v.record(v.string(), v.string()), {});
/** int64 in the API; a uid or gid is below 2^32. */
const id = v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4_294_967_295)));

const SecurityContextShape = v.nullish(
  v.object({
    runAsUser: id,
    runAsGroup: id,
    privileged: v.nullish(v.boolean(), false),
    capabilities: v.nullish(v.object({ add: texts })),
  }),
);

const ContainerShape = v.object({
  name: v.string(),
  command: texts,
  args: texts,
  env: v.nullish(
    v.array(v.object({ name: v.string(), value: v.nullish(v.string()), valueFrom: v.nullish(v.unknown()) })),
    [],
  ),
  securityContext: SecurityContextShape,
  restartPolicy: v.nullish(v.string()),
  ports: v.nullish(v.array(v.object({ containerPort: v.number(), protocol: v.nullish(v.string(), 'TCP') })), []),
});

/** The part of a Pod that a pod template has too. */
const SpecShape = v.object({
  nodeName: text,
  hostNetwork: v.nullish(v.boolean(), false),
  hostUsers: v.nullish(v.boolean(), true),
  dnsPolicy: text,
  dnsConfig: v.nullish(v.object({ nameservers: texts })),
  securityContext: SecurityContextShape,
  initContainers: v.nullish(v.array(ContainerShape), []),
  containers: v.nullish(v.array(ContainerShape), []),
});

const PodShape = v.object({
  metadata: v.object({
    name: v.pipe(v.string(), v.minLength(1)),
    namespace: v.nullish(v.string(), 'default'),
    uid: text,
    resourceVersion: text,
    deletionTimestamp: v.nullish(v.string()),
    labels: map,
    annotations: map,
  }),
  spec: SpecShape,
  status: v.nullish(
    v.object({
      phase: text,
      podIP: text,
      podIPs: v.nullish(v.array(v.object({ ip: text })), []),
    }),
  ),
});

const NamespaceShape = v.object({
  metadata: v.object({ name: v.pipe(v.string(), v.minLength(1)), labels: map, annotations: map }),
});

/** A Pod as the API gives it → the narrow view. Throws `ApiReply` naming the pod and the field. */
export function parsePod(object: unknown): Pod {
  const { metadata, spec, status } = shaped(PodShape, object, 'pod');
  const podIPs = (status?.podIPs ?? []).map(({ ip }) => ip);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    nodeName: spec.nodeName,
    phase: status?.phase ?? '',
    deleting: typeof metadata.deletionTimestamp === 'string',
    hostNetwork: spec.hostNetwork,
    hostUsers: spec.hostUsers,
    nameservers: spec.dnsPolicy === 'None' ? (spec.dnsConfig?.nameservers ?? []) : undefined,
    labels: metadata.labels,
    annotations: metadata.annotations,
    podIPs: (podIPs.length > 0 ? podIPs : [status?.podIP ?? '']).filter((ip) => ip !== ''),
    securityContext: securityContextOf(spec.securityContext),
    initContainers: spec.initContainers.map(containerOf),
    containers: spec.containers.map(containerOf),
  };
}

/** A Namespace as the API gives it → the narrow view. Throws `ApiReply`. */
export function parseNamespace(object: unknown): Namespace {
  return shaped(NamespaceShape, object, 'namespace').metadata;
}

function containerOf(container: v.InferOutput<typeof ContainerShape>): Container {
  return {
    name: container.name,
    command: container.command,
    args: container.args,
    env: container.env.map(({ name, value, valueFrom }) => ({ name, value: valueFrom ? undefined : (value ?? '') })),
    securityContext: securityContextOf(container.securityContext),
    restartPolicy: container.restartPolicy ?? undefined,
    ports: container.ports,
  };
}

function securityContextOf(context: v.InferOutput<typeof SecurityContextShape>): SecurityContext {
  return {
    runAsUser: context?.runAsUser ?? undefined,
    runAsGroup: context?.runAsGroup ?? undefined,
    privileged: context?.privileged ?? false,
    addedCapabilities: context?.capabilities?.add ?? [],
  };
}

function shaped<S extends v.GenericSchema>(schema: S, value: unknown, kind: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ControllerError(
    'ApiReply',
    `${kind} ${nameOf(value)}: ${v.getDotPath(issue) ?? 'object'}: ${issue.message}`,
  );
}

function nameOf(value: unknown): string {
  const metadata = v.safeParse(v.object({ metadata: v.object({ namespace: text, name: text }) }), value);
  if (!metadata.success) return '(without a name)';
  const { namespace, name } = metadata.output.metadata;
  return namespace === '' ? name : `${namespace}/${name}`;
}
