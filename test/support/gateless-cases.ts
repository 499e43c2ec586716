import { ARGUMENTS_ANNOTATION } from '../../src/capture/carried-arguments.ts';
import {
  app,
  CONFIG_ENV,
  type Fields,
  istioInit,
  istioValidation,
  LITERAL_ENV,
  nativeProxy,
  proxy,
  RESOLVED,
  stock,
  userInit,
  VALIDATION,
  writtenGate,
} from './gate-containers.ts';
import type { RefusalCase } from './gate-refusals.ts';

/** Pods without a gate: what becomes of them, and what the policies say of them. All are complete enough for an API server. */

const INITIALIZE = 'istio-pod-network-controller/initialize';
export const PLUGINS = 'required-plugins.noderesource.dev';
const OURS = '["istio-pod-network-controller"]';
export const VALIDATOR_LABEL = { 'pod-network-controller.istio.io/nri-validator': 'true' };
const ON = { [INITIALIZE]: 'true' };

export interface GatelessCase {
  readonly title: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Fields;
  /** Names of the init containers, and annotations and node labels that must be there; undefined: nothing changes. */
  readonly expected:
    | {
        readonly initContainers: readonly string[];
        readonly annotations: Readonly<Record<string, string>>;
        readonly nodeSelector?: Readonly<Record<string, string>>;
      }
    | undefined;
  /** Part of what is said of a pod that cannot be changed. */
  readonly obstacle?: string;
}

const carried = (args: readonly string[], env: readonly Fields[] = []) => ({
  [ARGUMENTS_ANNOTATION]: JSON.stringify({ args, env }),
});
const required = (list: string = OURS) => ({ [PLUGINS]: list });

export const GATELESS_CASES: readonly GatelessCase[] = [
  { title: 'istio-init with a native sidecar', annotations: ON, spec: stock, expected: left(['istio-proxy']) },
  {
    title: 'istio-init alone, with a classic sidecar',
    annotations: ON,
    spec: { initContainers: [istioInit], containers: [app, proxy] },
    expected: left([]),
  },
  {
    title: "istio-validation between the user's own",
    annotations: ON,
    spec: { initContainers: [userInit, istioValidation, nativeProxy], containers: [app] },
    expected: left(['migrate', 'istio-proxy'], carried(VALIDATION)),
  },
  {
    title: 'istio-init beside a gate',
    annotations: ON,
    spec: { initContainers: [writtenGate, istioInit, nativeProxy], containers: [app] },
    expected: left(['istio-proxy']),
  },
  {
    title: 'variables by value, and one whose value comes from elsewhere',
    annotations: ON,
    spec: { ...stock, initContainers: [{ ...istioInit, env: [LITERAL_ENV, CONFIG_ENV] }, nativeProxy] },
    expected: left(['istio-proxy'], carried(RESOLVED, [LITERAL_ENV, { name: CONFIG_ENV.name }])),
  },
  {
    title: 'quotes, backslashes, tabs and line ends',
    annotations: ON,
    spec: { ...stock, initContainers: [{ ...istioInit, args: ['istio-iptables', '-x', '"\\\n\t\'é'] }, nativeProxy] },
    expected: left(['istio-proxy'], carried(['istio-iptables', '-x', '"\\\n\t\'é'])),
  },
  {
    title: 'a node selector of its own',
    annotations: ON,
    spec: { ...stock, nodeSelector: { 'example.com/zone': 'a' } },
    expected: {
      ...left(['istio-proxy']),
      nodeSelector: { 'example.com/zone': 'a', ...VALIDATOR_LABEL },
    },
  },
  {
    title: 'plugins of others, under every key',
    annotations: {
      ...ON,
      [PLUGINS]: '[ "other" , "third" ]',
      [`${PLUGINS}/pod`]: '[]',
      [`${PLUGINS}/container.app`]: '["koordlet_nri"]',
    },
    spec: stock,
    expected: left(['istio-proxy'], {
      ...carried(RESOLVED),
      [PLUGINS]: '[ "other" , "third" ,"istio-pod-network-controller"]',
      [`${PLUGINS}/pod`]: OURS,
      [`${PLUGINS}/container.app`]: '["koordlet_nri","istio-pod-network-controller"]',
    }),
  },
  {
    title: 'a plugin for one container only',
    annotations: { ...ON, [`${PLUGINS}/container.app`]: '["other"]' },
    spec: stock,
    expected: left(['istio-proxy'], {
      ...carried(RESOLVED),
      [PLUGINS]: OURS,
      [`${PLUGINS}/container.app`]: '["other","istio-pod-network-controller"]',
    }),
  },
  {
    title: 'arguments of its own in the annotation do not stay',
    annotations: { ...ON, [ARGUMENTS_ANNOTATION]: '{"args":["istio-iptables","-b",""],"env":[]}' },
    spec: stock,
    expected: left(['istio-proxy']),
  },
  {
    title: 'a list of plugins that is not JSON',
    annotations: { ...ON, [`${PLUGINS}/pod`]: '[ other ]' },
    spec: stock,
    expected: undefined,
    obstacle: `annotation ${PLUGINS}/pod is not a list`,
  },
  {
    title: 'an argument with a control character',
    annotations: ON,
    spec: { ...stock, initContainers: [{ ...istioInit, args: ['istio-iptables', '-x', '\u0001'] }, nativeProxy] },
    expected: undefined,
    obstacle: 'control character',
  },
  {
    title: 'a list that is not JSON, in a pod that has a gate',
    annotations: { ...ON, [PLUGINS]: '[ other ]' },
    spec: { initContainers: [writtenGate, nativeProxy], containers: [app] },
    expected: undefined,
  },
  {
    title: 'interception mode NONE, for which Istio leaves no init container',
    annotations: { ...ON, 'sidecar.istio.io/interceptionMode': 'NONE' },
    spec: { initContainers: [nativeProxy], containers: [app] },
    expected: undefined,
  },
  { title: 'nobody asks', annotations: {}, spec: stock, expected: undefined },
  { title: 'host network', annotations: ON, spec: { ...stock, hostNetwork: true }, expected: undefined },
];

function left(initContainers: readonly string[], annotations: Readonly<Record<string, string>> = carried(RESOLVED)) {
  return { initContainers, annotations: { ...required(), ...annotations } };
}

const bare: Fields = { initContainers: [nativeProxy], containers: [app], nodeSelector: VALIDATOR_LABEL };
const HELD = { ...ON, ...required() };

/** New pods as they come out of admission's mutations, and what the "gated" policy says where no gate is wanted. */
export const GATELESS_REFUSALS: readonly RefusalCase[] = [
  create('held by the runtime', HELD, bare, undefined),
  create(
    'held by the runtime, beside other plugins',
    { ...ON, ...required(`["a", ${OURS.slice(1)}`) },
    bare,
    undefined,
  ),
  create('a gate', ON, { initContainers: [writtenGate, nativeProxy], containers: [app] }, undefined),
  create('neither', ON, bare, 'nothing would hold it back'),
  create('another plugin only', { ...ON, ...required('["other"]') }, bare, 'nothing would hold it back'),
  create('our plugin, in YAML', { ...ON, ...required('[istio-pod-network-controller]') }, bare, 'as JSON'),
  create(
    'our plugin, and a stronger annotation without it',
    { ...HELD, [`${PLUGINS}/container.app`]: '[]' },
    bare,
    'nothing would hold it back',
  ),
  create('nodes without the validator', HELD, { ...bare, nodeSelector: {} }, 'its nodeSelector lacks'),
  create(
    'interception mode NONE',
    { ...ON, 'sidecar.istio.io/interceptionMode': 'NONE' },
    { ...bare, nodeSelector: {} },
    undefined,
  ),
  create('istio-init was not taken out', ON, stock, 'keeps istio-init'),
  create('a list of plugins that is not JSON', { ...ON, ...required('[other]') }, stock, 'cannot do without a gate'),
];

/** An update of a pod without a gate, or of another, and what the "held" policy says. */
export interface HeldCase {
  readonly title: string;
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly refused: string | undefined;
}

/** Annotations of a pod as the carriers leave it. */
const HELD_POD = { ...HELD, ...carried(RESOLVED) };
const HOLDS = 'the container runtime holds it back';
const LEAVES = 'must not opt out';

export const HELD_CASES: readonly HeldCase[] = [
  { title: 'nothing changes', before: HELD_POD, after: HELD_POD, refused: undefined },
  {
    title: 'something else changes',
    before: HELD_POD,
    after: { ...HELD_POD, a: 'b' },
    labels: { a: 'b' },
    refused: undefined,
  },
  {
    title: 'one more plugin',
    before: HELD_POD,
    after: { ...HELD_POD, ...required(`["a",${OURS.slice(1)}`) },
    refused: undefined,
  },
  { title: 'the plugin is taken off', before: HELD_POD, after: { ...ON, ...carried(RESOLVED) }, refused: HOLDS },
  { title: 'the list is emptied', before: HELD_POD, after: { ...HELD_POD, ...required('[]') }, refused: HOLDS },
  {
    title: 'a stronger list comes',
    before: HELD_POD,
    after: { ...HELD_POD, [`${PLUGINS}/pod`]: '[]' },
    refused: HOLDS,
  },
  {
    title: 'a stronger list comes, for one container',
    before: HELD_POD,
    after: { ...HELD_POD, [`${PLUGINS}/container.app`]: '["other"]' },
    refused: HOLDS,
  },
  {
    title: "Istio's arguments are others",
    before: HELD_POD,
    after: { ...HELD_POD, ...carried(['istio-iptables', '-b', '']) },
    refused: 'must not change',
  },
  { title: "Istio's arguments go", before: HELD_POD, after: HELD, refused: 'must not change' },
  { title: 'the pod opts out', before: HELD_POD, after: { ...HELD_POD, [INITIALIZE]: 'false' }, refused: LEAVES },
  {
    title: 'the pod no longer asks',
    before: HELD_POD,
    after: { ...required(), ...carried(RESOLVED) },
    refused: LEAVES,
  },
  {
    title: 'a build of OpenShift',
    before: HELD_POD,
    after: { ...HELD_POD, 'openshift.io/build.name': 'b' },
    refused: LEAVES,
  },
  {
    title: 'a label keeps the injector off',
    before: HELD_POD,
    after: HELD_POD,
    labels: { 'sidecar.istio.io/inject': 'false' },
    refused: LEAVES,
  },
  { title: 'a pod with a gate opts out', before: ON, after: { [INITIALIZE]: 'false' }, refused: undefined },
  { title: 'a pod that needs another plugin', before: required('["other"]'), after: {}, refused: undefined },
];

/** What a scheduler may bring with a Binding. */
export const BINDING_CASES = [
  { title: 'nothing', annotations: {}, refused: undefined },
  { title: 'something else', annotations: { 'example.com/score': '3' }, refused: undefined },
  { title: 'another list of plugins', annotations: required('[]'), refused: PLUGINS },
  { title: 'a stronger list', annotations: { [`${PLUGINS}/container.app`]: '[]' }, refused: PLUGINS },
  { title: 'an opt-out', annotations: { [INITIALIZE]: 'false' }, refused: INITIALIZE },
  { title: "other arguments of Istio's", annotations: carried([]), refused: ARGUMENTS_ANNOTATION },
] as const;

function create(title: string, annotations: RefusalCase['annotations'], spec: Fields, refused: string | undefined) {
  return { title, annotations, spec, oldSpec: undefined, refused };
}
