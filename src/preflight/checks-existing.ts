import { type Check, counted, fail, given, isBelow, listed, majorMinor, ok, warn } from './check.ts';
import type { DaemonSetFacts } from './facts.ts';
import { isAmbient, isOptedIn } from './mesh-namespaces.ts';

const OUR_NAME = 'istio-pod-network-controller';
/** Of any registry, with a tag or a digest. */
const OUR_IMAGE = /(^|\/)istio-pod-network-controller([:@]|$)/;

export const EXISTING_CHECKS: readonly Check[] = [
  {
    id: 'istio-cni',
    group: 'What is there already',
    means:
      'istio-cni captures the same pods. While both are there a pod has the rules of both, with the same effect: the first that translates a connection settles it.',
    wayOut: 'Move namespace by namespace ([ways-in.md](ways-in.md)), then uninstall istio-cni.',
    run: ({ cni }) =>
      given([cni], (found) => {
        if (found === undefined) return ok('not installed');
        return warn(
          `installed in namespace ${found.namespace}, leaves alone: ${listed(found.excludedNamespaces) || 'nothing'}`,
          'Works beside it while you move, namespace by namespace; then uninstall istio-cni and keep pilot.cni.enabled=true.',
        );
      }),
  },
  {
    id: 'ambient',
    group: 'What is there already',
    means: 'Ambient mode captures pods by other means. A namespace is in one or the other.',
    wayOut: 'Take `istio.io/dataplane-mode` or our annotation from the namespace.',
    run: ({ namespaces, cni }) =>
      given([namespaces, cni], (spaces, found) => {
        const ambient = spaces.filter(isAmbient);
        const both = ambient.filter(isOptedIn).map(({ name }) => name);
        if (both.length > 0)
          return fail(
            `both ambient and opted in: ${listed(both)}`,
            'Take the label istio.io/dataplane-mode or the annotation istio-pod-network-controller/initialize from them.',
          );
        if (ambient.length > 0)
          return warn(
            `ambient: ${listed(ambient.map(({ name }) => name))}`,
            'Leave those namespaces to it: do not opt them in.',
          );
        return ok(found?.ambient === true ? 'istio-cni could serve it; no namespace is in it' : 'not in use');
      }),
  },
  {
    id: 'previous-install',
    group: 'What is there already',
    means:
      "An install of this product that is there already: where, and of which version. Two agents on a node would undo each other's work.",
    wayOut: 'Upgrade it where it is, or uninstall it first.',
    run: ({ daemonSets }, { namespace, version }) =>
      given([daemonSets], (all) => {
        const ours = all.filter((one) => isOurs(one) && !isOriginal(one));
        const elsewhere = ours.filter((one) => one.namespace !== namespace).map((one) => one.namespace);
        if (elsewhere.length > 0)
          return fail(
            `an agent runs from namespace ${listed(elsewhere)}`,
            `Upgrade that one (-n ${elsewhere[0]}), or uninstall it first.`,
          );
        const [one] = ours;
        if (one === undefined) return ok('none');
        return judgeVersion(one.labels['app.kubernetes.io/version'] ?? '', version);
      }),
  },
  {
    id: 'original-operator',
    group: 'What is there already',
    means:
      "The original istio-pod-network-controller, which ran privileged in the host's pid namespace, writes the same annotations.",
    wayOut: 'Delete its DaemonSet, ClusterRole and ServiceAccount; running pods keep their rules.',
    run: ({ daemonSets }) =>
      given([daemonSets], (all) => {
        const left = all.filter(isOriginal).map((one) => `${one.namespace}/${one.name}`);
        return left.length === 0
          ? ok('not there')
          : fail(
              `still there: DaemonSet ${listed(left)}`,
              'Delete it before the install; running pods keep their rules.',
            );
      }),
  },
  {
    id: 'opted-in-pods',
    group: 'What is there already',
    means:
      'Pods that ask to take part and were made before: they have no gate yet, and the agent captures them only as far as they let it.',
    wayOut: 'Restart their workloads after the install.',
    run: ({ pods, namespaces }) =>
      given([pods, namespaces], ({ pods: all, complete }, spaces) => {
        const asking = new Set(spaces.filter(isOptedIn).map(({ name }) => name));
        const taking = all.filter(
          ({ namespace, initialize }) => initialize === 'true' || (initialize === undefined && asking.has(namespace)),
        );
        const ungated = taking
          .filter(({ sidecar, init }) => sidecar && init !== 'gate' && init !== 'runtime')
          .map(({ namespace, name }) => `${namespace}/${name}`);
        const some = complete ? '' : ' (not all pods were looked at)';
        if (ungated.length === 0)
          return ok(`${counted(taking.length, 'pod')} ask to take part, none of them without a gate${some}`);
        return warn(
          `without a gate: ${listed(ungated)}${some}`,
          'kubectl rollout restart their workloads after the install.',
        );
      }),
  },
];

function isOurs({ name, images }: DaemonSetFacts): boolean {
  return name === OUR_NAME || images.some((image) => OUR_IMAGE.test(image));
}

/** Ours has neither of the two; the original could not do without. */
function isOriginal(one: DaemonSetFacts): boolean {
  return isOurs(one) && (one.hostPid || one.privileged);
}

function judgeVersion(installed: string, version: string) {
  const there = majorMinor(installed);
  const ours = majorMinor(version);
  if (there === undefined || ours === undefined || installed === version)
    return ok(installed === version ? `${installed}, the same as this one` : `version ${installed || 'unknown'}`);
  if (isBelow(ours, there)) return warn(`${installed}, newer than this ${version}`, 'Install with the newer version.');
  return ok(`${installed}; this one is ${version}`);
}
