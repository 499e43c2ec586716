import fc from 'fast-check';
import {
  app,
  type Fields,
  GATE,
  istioInit,
  istioValidation,
  nativeProxy,
  openShiftValidation,
  proxy,
  secondInit,
  userInit,
  writtenGate,
} from './gate-containers.ts';

/** Pods as the API server can hold them, made of all that the rule of the gate looks at. */

const INITIALIZE = 'istio-pod-network-controller/initialize';
const choice = fc.option(fc.constantFrom('true', 'true', 'false', '', 'True', 'yes'), { nil: undefined });
const flag = fc.constantFrom('true', 'false');

/** Annotations with more weight on pods that ask. */
export const namespaceAnnotations: fc.Arbitrary<Record<string, string>> = choice.map((value) =>
  value === undefined ? {} : { [INITIALIZE]: value },
);

const anyAnnotations = fc.record(
  {
    [INITIALIZE]: fc.constantFrom('true', 'true', 'false', '', 'yes'),
    'sidecar.istio.io/status': fc.constant('{}'),
    'sidecar.istio.io/inject': flag,
    'sidecar.istio.io/interceptionMode': fc.constantFrom('NONE', 'REDIRECT', 'TPROXY'),
    'openshift.io/build.name': fc.constant('b'),
    'openshift.io/deployer-pod-for.name': fc.constant('d'),
  },
  { requiredKeys: [] },
);
// Pods that ask and can be captured must be more than a few: what follows is about them.
const podAnnotations = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ [INITIALIZE]: 'true' }) },
  { weight: 1, arbitrary: fc.constant({ 'sidecar.istio.io/status': '{}' }) },
  { weight: 2, arbitrary: anyAnnotations },
);
const anyLabels = fc.record({ 'sidecar.istio.io/inject': flag }, { requiredKeys: [] });

const env = fc.uniqueArray(
  fc.constantFrom<Fields>(
    { name: 'DISABLE_ENVOY', value: 'true' },
    { name: 'ISTIO_META_INTERCEPTION_MODE', value: 'NONE' },
    { name: 'A', value: '1' },
    { name: 'B' },
    { name: 'C', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  ),
  { maxLength: 2, selector: ({ name }) => name },
);
const args = fc.constantFrom<readonly string[]>(
  ['proxy', 'sidecar'],
  ['proxy', 'router'],
  ['proxy'],
  ['istio-iptables', '-p', '15001'],
  ["it's", 'a \\ word'],
);
const id = fc.constantFrom(0, 1, 1337, 4_294_967_295);
const securityContext = fc.record(
  {
    runAsUser: id,
    runAsGroup: id,
    privileged: fc.boolean(),
    capabilities: fc.record(
      { add: fc.subarray(['ALL', 'NET_ADMIN', 'CAP_NET_ADMIN', 'NET_RAW']), drop: fc.constant(['ALL']) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const resources = fc.constantFrom<Fields>({}, { limits: { cpu: '1' } }, { requests: { memory: '1Mi' }, limits: {} });
const variation = fc.record(
  { args, env, securityContext, resources, image: fc.constantFrom('a:1', 'b:2') },
  { requiredKeys: [] },
);

type Container = Fields & { readonly name: string };

/** Containers of different names, in any order, each perhaps varied. */
function containersOf(pool: readonly Fields[], { maxLength }: { readonly maxLength: number }) {
  const varied = fc
    .tuple(fc.constantFrom(...pool), variation)
    .map(([base, change]): Container => ({ ...base, ...change, name: String(base['name']) }));
  return fc.uniqueArray(varied, { maxLength, selector: ({ name }) => name });
}

const INIT_POOL = [istioInit, istioValidation, openShiftValidation, nativeProxy, writtenGate, userInit, secondInit];
const initContainers = containersOf(INIT_POOL, { maxLength: 5 });
const containers = containersOf([app, proxy], { maxLength: 2 });

export const spec: fc.Arbitrary<Fields> = fc.record(
  { containers, initContainers, hostNetwork: fc.constantFrom(false, false, false, true) },
  { requiredKeys: ['containers', 'initContainers'] },
);

export const pod: fc.Arbitrary<Fields> = fc.record({
  metadata: fc.record(
    { annotations: podAnnotations, labels: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, anyLabels) },
    { requiredKeys: ['annotations'] },
  ),
  spec,
});

/** The same pod with other images of some init containers, as an update may leave it. */
export function withOtherImages(before: Fields): fc.Arbitrary<Fields> {
  const inits = Object(before['spec'])['initContainers'];
  if (!Array.isArray(inits)) return fc.constant(before);
  const images = fc.array(fc.option(fc.constantFrom('a:1', 'b:2'), { nil: undefined }), {
    minLength: inits.length,
    maxLength: inits.length,
  });
  return images.map((chosen) => ({
    ...before,
    spec: {
      ...Object(before['spec']),
      initContainers: inits.map((one: object, index) => {
        const image = chosen[index];
        return image === undefined ? one : { ...one, image };
      }),
    },
  }));
}

/** Values no API server would hand out, which the code must take without throwing. */
export const malformed: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything(),
  fc.record({ metadata: fc.anything(), spec: fc.anything() }, { requiredKeys: [] }),
  fc.record({
    metadata: fc.constant({ annotations: { [INITIALIZE]: 'true' } }),
    spec: fc.record({
      initContainers: fc.array(
        fc.oneof(fc.anything(), fc.constant({ name: 'istio-init' }), fc.constant({ name: GATE })),
      ),
      containers: fc.oneof(fc.anything(), fc.constant([{ name: 'istio-proxy' }])),
    }),
  }),
);
