import {
  app,
  type Fields,
  istioInit,
  istioValidation,
  nativeProxy,
  proxy,
  stock,
  userInit,
  writtenGate,
} from './gate-containers.ts';

/** Pods as they come out of admission's mutations, and what the "gated" policy must say of them. */
export interface RefusalCase {
  readonly title: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Fields;
  /** Of an update; the new one is `spec`. */
  readonly oldSpec: Fields | undefined;
  /** Part of the message; undefined: admitted. */
  readonly refused: string | undefined;
}

const INITIALIZE = 'istio-pod-network-controller/initialize';
const ON = { [INITIALIZE]: 'true' };
const OFF = { [INITIALIZE]: 'false' };
const other = (container: Fields): Fields => ({ ...container, image: 'docker.io/example/other:2' });
const withInits = (...initContainers: readonly Fields[]): Fields => ({ initContainers, containers: [app] });
const classic = (...initContainers: readonly Fields[]): Fields => ({ initContainers, containers: [app, proxy] });
const powerless = { ...istioInit, securityContext: { capabilities: { drop: ['ALL'] } } };
const modeNone = { ...nativeProxy, env: [{ name: 'ISTIO_META_INTERCEPTION_MODE', value: 'NONE' }] };

const NOT_REPLACED = 'keeps istio-init';
const NO_GATE = 'has no gate';
const NOT_FIRST = 'must be the first';
const IMAGE = 'image of the gate must not change';

export const REFUSAL_CASES: readonly RefusalCase[] = [
  create('a gate, first', ON, withInits(writtenGate, nativeProxy), undefined),
  create('istio-validation, first', ON, withInits(istioValidation, nativeProxy), undefined),
  create('istio-init was not replaced', ON, stock, NOT_REPLACED),
  create('istio-init beside a gate', ON, withInits(writtenGate, istioInit, nativeProxy), NOT_REPLACED),
  create('an istio-init without any power, and no gate', ON, withInits(powerless, nativeProxy), NO_GATE),
  create('no gate, native sidecar', ON, withInits(nativeProxy), NO_GATE),
  create('no gate, classic sidecar, no init container', ON, { containers: [app, proxy] }, NO_GATE),
  create('no gate, but init containers of the user', ON, classic(userInit), '(init containers: migrate)'),
  create('a gate after an init container of the user', ON, classic(userInit, writtenGate), NOT_FIRST),
  create('istio-validation after the sidecar', ON, withInits(nativeProxy, istioValidation), NOT_FIRST),
  create('nobody asks', {}, withInits(nativeProxy), undefined),
  create('the pod says no', OFF, stock, undefined),
  create('no sidecar', ON, { containers: [app] }, undefined),
  create('host network', ON, { ...withInits(nativeProxy), hostNetwork: true }, undefined),
  create('a gateway', ON, { containers: [{ ...proxy, args: ['proxy', 'router'] }] }, undefined),
  create(
    'interception mode NONE of the pod',
    { ...ON, 'sidecar.istio.io/interceptionMode': 'NONE' },
    withInits(nativeProxy),
    undefined,
  ),
  create('interception mode NONE of the mesh', ON, withInits(modeNone), undefined),
  update('nothing changes', ON, withInits(writtenGate, nativeProxy), withInits(writtenGate, nativeProxy), undefined),
  update(
    'another image of the gate',
    ON,
    withInits(other(writtenGate), nativeProxy),
    withInits(writtenGate, nativeProxy),
    IMAGE,
  ),
  update(
    'another image of the gate, with the annotation changed before',
    OFF,
    withInits(other(writtenGate), nativeProxy),
    withInits(writtenGate, nativeProxy),
    IMAGE,
  ),
  update(
    'another image of istio-validation',
    ON,
    withInits(other(istioValidation), nativeProxy),
    withInits(istioValidation, nativeProxy),
    IMAGE,
  ),
  update(
    'another image of istio-validation in a pod that is not ours',
    {},
    withInits(other(istioValidation), nativeProxy),
    withInits(istioValidation, nativeProxy),
    undefined,
  ),
  update(
    'another image of the sidecar and of the user',
    ON,
    classic(writtenGate, other(userInit)),
    classic(writtenGate, userInit),
    undefined,
  ),
  update('a pod from before the policy', ON, withInits(other(nativeProxy)), withInits(nativeProxy), undefined),
];

/** The pod of a case. Its containers cannot be started, which no test wants. */
export function refusalPod(annotations: Readonly<Record<string, string>>, spec: Fields, name = 'refusal'): Fields {
  const metadata = { name, annotations };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, automountServiceAccountToken: false } };
}

function create(title: string, annotations: RefusalCase['annotations'], spec: Fields, refused: string | undefined) {
  return { title, annotations, spec, oldSpec: undefined, refused };
}

function update(
  title: string,
  annotations: RefusalCase['annotations'],
  spec: Fields,
  oldSpec: Fields,
  refused: string | undefined,
): RefusalCase {
  return { title: `update: ${title}`, annotations, spec, oldSpec, refused };
}
