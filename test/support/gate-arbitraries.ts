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
/** Lists of plugins, of ours and others, and what is none. */
export const pluginList = fc.constantFrom(
  '["other"]',
  '[ "other" , "10-third" ]',
  '[]',
  '[  ]',
  '["istio-pod-network-controller"]',
  '["other","istio-pod-network-controller"]',
  '["my-istio-pod-network-controller"]',
  '[other]',
  'other',
  '["a"] ]',
  '',
);
export const pluginAnnotations = fc.record(
  {
    'required-plugins.noderesource.dev': pluginList,
    'required-plugins.noderesource.dev/pod': pluginList,
    'required-plugins.noderesource.dev/container.app': pluginList,
    'required-plugins.noderesource.dev.example.com/pod': pluginList,
    'pod-network-controller.istio.io/istio-arguments': fc.constant('{"args":["istio-iptables"],"env":[]}'),
  },
  { requiredKeys: [] },
);
/** Some say which plugins of the runtime they need. */
const annotationsOfPod = fc
  .tuple(podAnnotations, fc.option(pluginAnnotations, { nil: {}, freq: 2 }))
  .map(([own, plugins]) => ({ ...own, ...plugins }));
const anyLabels = fc.record({ 'sidecar.istio.io/inject': flag }, { requiredKeys: [] });

const env = fc.uniqueArray(
  fc.constantFrom<Fields>(
    { name: 'DISABLE_ENVOY', value: 'true' },
    { name: 'ISTIO_META_INTERCEPTION_MODE', value: 'NONE' },
    { name: 'A', value: '1' },
    { name: 'B' },
    { name: 'ISTIO_META_DNS_CAPTURE', value: 'true' },
    { name: 'QUOTED', value: '"\\\n\r\t\u2028é😀' },
    { name: 'CONTROL', value: 'a\u0001b' },
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
  ['istio-iptables', '-x', '', '-i', '"*"', '-c', "a\\b\nc'd\te", '-u', '1500'],
  ['istio-iptables', '-p', '15101', '--skip-rule-apply', '-o', '22'],
  [],
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

const nodeSelector = fc.constantFrom<Fields>(
  { 'pod-network-controller.istio.io/nri-validator': 'true' },
  { 'pod-network-controller.istio.io/nri-validator': 'false', zone: 'a' },
  { zone: 'a' },
);

export const spec: fc.Arbitrary<Fields> = fc.record(
  { containers, initContainers, nodeSelector, hostNetwork: fc.constantFrom(false, false, false, true) },
  { requiredKeys: ['containers', 'initContainers'] },
);

export const pod: fc.Arbitrary<Fields> = fc.record({
  metadata: fc.record(
    { annotations: annotationsOfPod, labels: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, anyLabels) },
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

const change: fc.Arbitrary<Readonly<Record<string, string>>> = fc.oneof(
  {
    weight: 3,
    arbitrary: anyAnnotations.map((annotations) => Object.fromEntries(Object.entries(annotations).slice(0, 1))),
  },
  {
    weight: 3,
    arbitrary: pluginAnnotations.map((annotations) => Object.fromEntries(Object.entries(annotations).slice(-1))),
  },
  { weight: 1, arbitrary: fc.constant({ [INITIALIZE]: 'false' }) },
  { weight: 1, arbitrary: pluginAnnotations },
);

/** The same pod with other annotations or labels, as an update may leave it. */
export function withOtherMetadata(before: Fields): fc.Arbitrary<Fields> {
  const { annotations, labels } = Object(before['metadata']);
  const instead = fc.option(change, { nil: undefined, freq: 3 });
  return fc.tuple(change, instead, fc.boolean(), anyLabels).map(([added, all, relabelled, other]) => ({
    ...before,
    metadata: {
      ...Object(before['metadata']),
      annotations: all ?? { ...annotations, ...added },
      labels: relabelled ? other : labels,
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
