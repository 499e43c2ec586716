import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { HELM, template } from '../support/chart.ts';
import { at, listAt } from '../support/cluster.ts';

const missing = !existsSync(HELM);

/** What SCC admission would compare, for each backend that changes what the agent needs. */
describe.skipIf(missing).each(['auto', 'iptables-legacy'])('on OpenShift, with backend %s, the agent', (backend) => {
  it('asks for all that its SecurityContextConstraints allow, and for nothing else', async () => {
    const objects = await rendered(['--set=platform=openshift', `--set=agent.backend=${backend}`]);
    const constraints = ofKind(objects, 'SecurityContextConstraints');
    const pod = at(ofKind(objects, 'DaemonSet'), 'spec', 'template', 'spec');
    const context = at(pod, 'containers', 0, 'securityContext');
    expect(listAt(context, 'capabilities', 'add')).toEqual(listAt(constraints, 'allowedCapabilities'));
    expect(at(context, 'readOnlyRootFilesystem')).toBe(at(constraints, 'readOnlyRootFilesystem'));
    expect(at(context, 'privileged')).toBe(at(constraints, 'allowPrivilegedContainer'));
    expect(at(pod, 'securityContext', 'seccompProfile', 'type')).toBe('RuntimeDefault');
    expect(listAt(constraints, 'seccompProfiles')).toEqual(['runtime/default']);
    const kinds = listAt(pod, 'volumes').flatMap((volume) =>
      Object.keys(Object(volume)).filter((key) => key !== 'name'),
    );
    expect(listAt(constraints, 'volumes')).toEqual(expect.arrayContaining(kinds));
    for (const host of ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers']) expect(at(pod, host)).toBeUndefined();
    // SCC fills them in, type and level; a pod that names only the type is refused.
    for (const named of [at(pod, 'securityContext'), context]) expect(at(named, 'seLinuxOptions')).toBeUndefined();
  });

  it('alone may use them', async () => {
    const objects = await rendered(['--set=platform=openshift', `--set=agent.backend=${backend}`]);
    const role = objects.find((object) => at(object, 'metadata', 'name') === 'istio-pod-network-controller-scc');
    expect(at(role, 'rules')).toEqual([
      {
        apiGroups: ['security.openshift.io'],
        resources: ['securitycontextconstraints'],
        resourceNames: ['istio-pod-network-controller'],
        verbs: ['use'],
      },
    ]);
    const binding = objects.find((object) => at(object, 'roleRef', 'name') === 'istio-pod-network-controller-scc');
    const agent = {
      kind: 'ServiceAccount',
      name: 'istio-pod-network-controller',
      namespace: 'istio-pod-network-controller',
    };
    expect(at(binding, 'subjects')).toEqual([agent]);
    const constraints = ofKind(objects, 'SecurityContextConstraints');
    expect([at(constraints, 'users'), at(constraints, 'groups')]).toEqual([[], []]);
  });
});

describe.skipIf(missing)('on OpenShift, the webhook', () => {
  it('names no user, so that restricted-v2 can give it one', async () => {
    const pod = at(ofKind(await rendered(['--set=platform=openshift']), 'Deployment'), 'spec', 'template', 'spec');
    for (const context of [at(pod, 'securityContext'), at(pod, 'containers', 0, 'securityContext')]) {
      for (const field of ['runAsUser', 'runAsGroup', 'fsGroup', 'seLinuxOptions'])
        expect(at(context, field)).toBeUndefined();
    }
  });
});

async function rendered(args: readonly string[]): Promise<readonly unknown[]> {
  return parseAllDocuments(await template(args)).map((document): unknown => document.toJSON());
}

function ofKind(objects: readonly unknown[], kind: string): unknown {
  return objects.find((object) => at(object, 'kind') === kind);
}
