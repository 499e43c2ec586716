import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout } from '../../lab/paths.ts';
import { PRODUCT, template } from '../support/chart.ts';
import { grantedTo, type Right, rightsTable, type Used, usedBy } from '../support/cluster-policy-rbac.ts';
import { AGENT_NAMESPACE, appPod, createPods, waitReady } from '../support/cluster-pods.ts';
import { createNamespace, deleteNamespaces, kubectl, MESH, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-rbac-webhook';
const NAME = `${PRODUCT}-webhook`;
const WEBHOOK = { namespace: AGENT_NAMESPACE, name: NAME };
/** The carrier alone, beside whatever is installed. */
const CARRIER = [
  ...['--set', 'gate.carrier=webhook'],
  ...readdirSync(join(checkout, 'chart', PRODUCT, 'templates'))
    // Without the files that render nothing with this value, which helm refuses to show.
    .filter((file) =>
      /^webhook-(clusterrole|clusterrolebinding|deployment|mutating.*|role|rolebinding|service.*)\.yaml$/.test(file),
    )
    .flatMap((file) => ['--show-only', `templates/${file}`]),
];

/** Granted, and not used by what this test does; each with its reason. */
const EXCEPTIONS: Readonly<Record<Right, string>> = {
  'get namespaces': 'asked only about a Namespace that is younger than what the watch has told',
  [`patch secrets in ${AGENT_NAMESPACE} named ${NAME}`]: 'renews the certificate, long before it ends',
};

let granted: readonly Right[];
let used: readonly Used[];

beforeAll(async () => {
  await kubectl(['delete', 'deployment,secret', '-n', AGENT_NAMESPACE, NAME, '--ignore-not-found']);
  const sinceMs = Date.now();
  await kubectl(['apply', '-f', '-'], { input: await template(CARRIER) });
  await kubectl(['rollout', 'status', '-n', AGENT_NAMESPACE, `deployment/${NAME}`, '--timeout=90s']);
  await createNamespace(NAMESPACE, MESH);
  await createPods(NAMESPACE, [appPod('gated')]);
  await waitReady(NAMESPACE, ['gated']);
  granted = await grantedTo(WEBHOOK);
  const patches = () => usedBy(WEBHOOK, sinceMs, granted).filter(({ right }) => right.startsWith('patch mutating'));
  await waitFor('the audit log has it all', async () => patches().length > 0, { timeoutMs: 30_000 });
  used = usedBy(WEBHOOK, sinceMs, granted);
  process.stdout.write(`${rightsTable('the webhook', granted, used)}\n`);
});
afterAll(async () => {
  await deleteNamespaces([NAMESPACE]);
  await kubectl(['delete', '--ignore-not-found', '-f', '-'], { input: await template(CARRIER) });
  await kubectl(['delete', 'secret', '-n', AGENT_NAMESPACE, NAME, '--ignore-not-found']);
});

describe('the rights of the webhook', () => {
  it('are enough: nothing it asked for was refused', () => {
    expect(used.filter(({ code }) => code === 401 || code === 403)).toEqual([]);
    expect(used.length).toBeGreaterThan(0);
  });

  it('are least: each one is used, but for what has a reason', () => {
    const idle = granted.filter((right) => !used.some((request) => request.right === right));
    expect(idle.filter((right) => EXCEPTIONS[right] === undefined)).toEqual([]);
  });

  it('touch one Secret and one configuration, by name', () => {
    const written = granted.filter((right) => /^(patch|update|delete)/.test(right));
    expect(written).not.toEqual([]);
    for (const right of written) expect(right).toMatch(new RegExp(` named (zz-)?${PRODUCT}`));
  });
});
