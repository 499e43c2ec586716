import { type Check, counted, fail, given, isBelow, listed, majorMinor, ok, warn } from './check.ts';
import type { ClusterFacts, Fact } from './facts.ts';
import { known } from './facts.ts';

/** ValidatingAdmissionPolicy is v1 from here on. */
const OLDEST = [1, 30] as const;
const OPENSHIFT_GROUP = 'security.openshift.io';

/** True on OpenShift, whose SecurityContextConstraints decide about pods. */
export function isOpenShift(facts: ClusterFacts): Fact<boolean> {
  return facts.groups.known ? known(facts.groups.value.includes(OPENSHIFT_GROUP)) : facts.groups;
}

/** What `gate.carrier: auto` comes to when Helm installs into this cluster. */
export function automaticCarrier(facts: ClusterFacts): Fact<'policy' | 'webhook'> {
  const openShift = isOpenShift(facts);
  if (!openShift.known) return openShift;
  if (!facts.admission.known) return facts.admission;
  return known(!openShift.value && facts.admission.value.includes('mutatingadmissionpolicies') ? 'policy' : 'webhook');
}

export const KUBERNETES_CHECKS: readonly Check[] = [
  {
    id: 'kubernetes-version',
    group: 'Kubernetes',
    means: 'Kubernetes 1.30 or newer: the policies that protect the annotations and the agent need it.',
    wayOut: 'Upgrade the cluster.',
    run: ({ version }) =>
      given([version], (text) => {
        const parsed = majorMinor(text);
        if (parsed === undefined)
          return warn(`${text} is no version that can be compared`, 'Kubernetes 1.30 or newer is needed.');
        return isBelow(parsed, OLDEST)
          ? fail(`${text} is older than 1.30`, 'Upgrade the cluster to Kubernetes 1.30 or newer.')
          : ok(text);
      }),
  },
  {
    id: 'validating-policies',
    group: 'Kubernetes',
    means:
      "The API server serves ValidatingAdmissionPolicy v1, with which the chart keeps everybody off the agent's annotations and the agent off other nodes' pods.",
    wayOut: 'Kubernetes 1.30 or newer, with the API not switched off by --runtime-config.',
    run: ({ admission }) =>
      given([admission], (resources) =>
        resources.includes('validatingadmissionpolicies')
          ? ok('ValidatingAdmissionPolicy v1 is served')
          : fail(
              'ValidatingAdmissionPolicy v1 is not served',
              'Do not switch it off by --runtime-config; or, knowing that anybody who may edit a pod can then forge the report, set policies.agent, policies.annotations and policies.gate to false.',
            ),
      ),
  },
  {
    id: 'gate-carrier',
    group: 'Kubernetes',
    means:
      'What puts the gate into mesh pods with `gate.carrier: auto`: a MutatingAdmissionPolicy where the API server serves it (Kubernetes 1.36) and the platform is not OpenShift, else the webhook.',
    wayOut: 'Nothing to do. `helm template` sees no cluster and takes the webhook: set `gate.carrier` there.',
    run: (facts) =>
      given([automaticCarrier(facts)], (carrier) =>
        ok(
          carrier === 'policy'
            ? 'a MutatingAdmissionPolicy, which needs no server (for helm template: gate.carrier=policy)'
            : 'the webhook: this cluster has no MutatingAdmissionPolicy that could do it',
        ),
      ),
  },
  {
    id: 'platform',
    group: 'Kubernetes',
    means:
      'Kubernetes or OpenShift. On OpenShift the agent needs SecurityContextConstraints of its own, and istio-init must never reach the second round of admission.',
    wayOut: '`helm template` sees no cluster: set `platform: openshift` there.',
    run: (facts) =>
      given([isOpenShift(facts)], (openShift) =>
        ok(openShift ? 'OpenShift (for helm template: platform=openshift)' : 'Kubernetes'),
      ),
  },
  {
    id: 'permissions',
    group: 'Kubernetes',
    means: 'The user of this kubeconfig may create what the chart holds.',
    wayOut: 'Install as cluster-admin, or have the missing permissions granted.',
    run: ({ permissions }) =>
      given([permissions], (all) => {
        const denied = all.filter(({ allowed }) => !allowed).map(({ verb, resource }) => `${verb} ${resource}`);
        return denied.length === 0
          ? ok(`this user may create all ${counted(all.length, 'kind')} of object of the chart`)
          : fail(`this user may not ${listed(denied)}`, 'Install as cluster-admin, or have that granted.');
      }),
  },
];
