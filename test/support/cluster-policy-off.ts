import { apply, kubectl, kubectlJson, tryKubectl, waitFor } from './cluster.ts';

const ACTS_WITHIN_MS = 30_000;

/**
 * Takes the binding of a ValidatingAdmissionPolicy away, as a cluster without that policy has it; returns the way to put it back.
 * `refused` is a manifest that the policy refuses: it tells when the API server has learned of the change, through its own watch.
 */
export async function policyOff(
  policy: string,
  options: { readonly refused: object; readonly namespace: string },
): Promise<() => Promise<void>> {
  const binding = await kubectlJson(['get', 'validatingadmissionpolicybinding', policy]);
  const input = JSON.stringify(options.refused);
  const admitted = async (): Promise<boolean> => {
    const create = ['create', '-n', options.namespace, '--dry-run=server', '-f', '-'];
    return (await tryKubectl(create, { input })).code === 0;
  };
  await kubectl(['delete', 'validatingadmissionpolicybinding', policy]);
  await waitFor(`policy ${policy} is off`, admitted, { timeoutMs: ACTS_WITHIN_MS });
  return async () => {
    await apply([withoutServerFields(binding)]);
    await waitFor(`policy ${policy} acts again`, async () => !(await admitted()), { timeoutMs: ACTS_WITHIN_MS });
  };
}

function withoutServerFields(object: unknown): unknown {
  return JSON.parse(JSON.stringify(object), (key, value: unknown) =>
    ['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields'].includes(key) ? undefined : value,
  );
}
