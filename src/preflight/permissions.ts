/** What the chart creates; a SelfSubjectAccessReview for each tells whether the install would be let. */
export interface Wanted {
  readonly group: string;
  readonly resource: string;
  /** Objects of the namespace of the install; the others are the cluster's. */
  readonly namespaced: boolean;
}

const CLUSTER: readonly (readonly [string, string])[] = [
  ['', 'namespaces'],
  ['rbac.authorization.k8s.io', 'clusterroles'],
  ['rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['admissionregistration.k8s.io', 'validatingadmissionpolicies'],
  ['admissionregistration.k8s.io', 'validatingadmissionpolicybindings'],
];
const NAMESPACED: readonly (readonly [string, string])[] = [
  ['', 'serviceaccounts'],
  ['apps', 'daemonsets'],
];
const POLICY: readonly (readonly [string, string])[] = [
  ['admissionregistration.k8s.io', 'mutatingadmissionpolicies'],
  ['admissionregistration.k8s.io', 'mutatingadmissionpolicybindings'],
];
const WEBHOOK: readonly (readonly [string, string])[] = [
  ['admissionregistration.k8s.io', 'mutatingwebhookconfigurations'],
];
const WEBHOOK_NAMESPACED: readonly (readonly [string, string])[] = [
  ['', 'services'],
  ['apps', 'deployments'],
  ['policy', 'poddisruptionbudgets'],
  ['rbac.authorization.k8s.io', 'roles'],
  ['rbac.authorization.k8s.io', 'rolebindings'],
];
const OPENSHIFT: readonly (readonly [string, string])[] = [['security.openshift.io', 'securitycontextconstraints']];

/** What an install with `gate.carrier: auto` creates on this platform. */
export function wantedPermissions(options: {
  readonly carrier: 'policy' | 'webhook';
  readonly openShift: boolean;
}): readonly Wanted[] {
  const webhook = options.carrier === 'webhook';
  return [
    ...wanted([...CLUSTER, ...(webhook ? WEBHOOK : POLICY), ...(options.openShift ? OPENSHIFT : [])], false),
    ...wanted([...NAMESPACED, ...(webhook ? WEBHOOK_NAMESPACED : [])], true),
  ];
}

function wanted(list: readonly (readonly [string, string])[], namespaced: boolean): readonly Wanted[] {
  return list.map(([group, resource]) => ({ group, resource, namespaced }));
}

/** `daemonsets.apps`, as kubectl names kinds; the core group has no name. */
export function resourceName({ group, resource }: Wanted): string {
  return group === '' ? resource : `${resource}.${group}`;
}
