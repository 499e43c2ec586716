import { at, listAt } from './cluster.ts';

/**
 * What three SecurityContextConstraints of OpenShift do to a pod, written after OpenShift's published objects and what its own admission
 * code was seen to do; that code itself is not part of the lab.
 */
export interface Constraints {
  readonly name: 'nonroot-v2' | 'restricted-v2' | 'restricted-v3';
  /** A container without runAsUser gets the first, and none may be outside; undefined: anything but root. */
  readonly uids: readonly [number, number] | undefined;
  readonly fsGroup: number | undefined;
  readonly hostUsers: boolean;
}

/** As OpenShift annotates each Namespace it creates, with ranges of its own. */
export interface Ranges {
  readonly uid: string;
  readonly mcsLevel: string;
}

export const ORDINARY: Ranges = { uid: '1000680000/10000', mcsLevel: 's0:c26,c5' };
/** `restricted-v3` allows uids to 65534 only, and Istio takes the last of this range. */
export const USER_NAMESPACES: Ranges = { uid: '1000/10000', mcsLevel: 's0:c26,c10' };

export const RESTRICTED_V2: Constraints = {
  name: 'restricted-v2',
  uids: [1_000_680_000, 1_000_689_999],
  fsGroup: 1_000_680_000,
  hostUsers: true,
};
export const RESTRICTED_V3: Constraints = {
  name: 'restricted-v3',
  uids: [1000, 65_534],
  fsGroup: 1000,
  hostUsers: false,
};
export const NONROOT_V2: Constraints = { name: 'nonroot-v2', uids: undefined, fsGroup: undefined, hostUsers: true };

export function annotationsOf({ uid, mcsLevel }: Ranges): Readonly<Record<string, string>> {
  return {
    'openshift.io/sa.scc.mcs': mcsLevel,
    'openshift.io/sa.scc.supplemental-groups': uid,
    'openshift.io/sa.scc.uid-range': uid,
  };
}

/** The pod as SCC admission leaves it behind: what it fills in where the pod says nothing. */
export function shapedBy(constraints: Constraints, ranges: Ranges, pod: unknown): object {
  const spec = Object(at(pod, 'spec'));
  const context = Object(at(spec, 'securityContext'));
  const { fsGroup } = constraints;
  const filled = {
    seLinuxOptions: { level: ranges.mcsLevel },
    seccompProfile: { type: 'RuntimeDefault' },
    ...(fsGroup === undefined ? {} : { fsGroup }),
    ...context,
  };
  const containers = (list: string) =>
    listAt(spec, list).map((container) => shapedContainer(constraints, context, container));
  const metadata = Object(at(pod, 'metadata'));
  const annotations = { ...metadata.annotations, 'openshift.io/scc': constraints.name };
  const { name, labels } = metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels, annotations },
    spec: {
      ...spec,
      securityContext: filled,
      initContainers: containers('initContainers'),
      containers: containers('containers'),
    },
  };
}

function shapedContainer({ uids }: Constraints, pod: unknown, container: unknown): object {
  const context = Object(at(container, 'securityContext'));
  const said = context.runAsUser ?? at(pod, 'runAsUser');
  const user = uids === undefined || said !== undefined ? {} : { runAsUser: uids[0] };
  const filled = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, ...user, ...context };
  return { ...Object(container), securityContext: filled };
}

const VOLUMES = 'configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret'.split(' ');

/** Why these constraints would refuse the shaped pod; empty: they would not. */
export function refusalsOf({ uids, fsGroup, hostUsers }: Constraints, ranges: Ranges, pod: unknown): readonly string[] {
  const spec = at(pod, 'spec');
  const containers = [...listAt(spec, 'initContainers'), ...listAt(spec, 'containers')];
  const kinds = listAt(spec, 'volumes').flatMap((volume) =>
    Object.keys(Object(volume)).filter((key) => key !== 'name'),
  );
  return [
    ...['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => at(spec, field) === true),
    ...kinds.filter((kind) => !VOLUMES.includes(kind)),
    ...(hostUsers || at(spec, 'hostUsers') === false ? [] : ['hostUsers is not false']),
    ...(fsGroup === undefined || at(spec, 'securityContext', 'fsGroup') === fsGroup ? [] : ['fsGroup']),
    ...(at(spec, 'securityContext', 'seLinuxOptions', 'level') === ranges.mcsLevel ? [] : ['seLinuxOptions.level']),
    ...containers.flatMap((container) => containerRefusals(uids, at(spec, 'securityContext', 'runAsUser'), container)),
  ];
}

function containerRefusals(uids: Constraints['uids'], podUser: unknown, container: unknown): readonly string[] {
  const context = at(container, 'securityContext');
  const user = at(context, 'runAsUser') ?? podUser;
  const [first, last] = uids ?? [1, Number.MAX_SAFE_INTEGER];
  const inRange = typeof user === 'number' && user >= first && user <= last;
  const nonRoot = uids === undefined && user === undefined && at(context, 'runAsNonRoot') === true;
  const added = listAt(context, 'capabilities', 'add').filter((capability) => capability !== 'NET_BIND_SERVICE');
  const name = String(at(container, 'name'));
  return [
    ...(inRange || nonRoot ? [] : [`${name}: runAsUser ${String(user)}`]),
    ...(at(context, 'privileged') === true ? [`${name}: privileged`] : []),
    ...(at(context, 'allowPrivilegeEscalation') === false ? [] : [`${name}: allowPrivilegeEscalation`]),
    ...(listAt(context, 'capabilities', 'drop').includes('ALL') ? [] : [`${name}: does not drop ALL`]),
    ...added.map((capability) => `${name}: ${String(capability)}`),
  ];
}
