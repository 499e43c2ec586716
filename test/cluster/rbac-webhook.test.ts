import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PRODUCT } from '../support/chart.ts';
import { grantedTo, type Right, rightsTable, type Used, usedBy } from '../support/cluster-policy-rbac.ts';
import { AGENT_NAMESPACE, appPod, createPods, waitReady } from '../support/cluster-pods.ts';
import { createNamespace, deleteNamespaces, kubectl, MESH, waitFor } from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';

const NAMESPACE = 'pnc-test-rbac-webhook';
const NAME = `${PRODUCT}-webhook`;
const WEBHOOK = { namespace: AGENT_NAMESPACE, name: NAME };
/** Granted, and not used by what this test does; each with its reason. */
const EXCEPTIONS: Readonly<Record<Right, string>> = {
  'get namespaces': 'asked only about a Namespace that is younger than what the watch has told',
  [`patch secrets in ${AGENT_NAMESPACE} named ${NAME}`]: 'renews the certificate, long before it ends',
};

/** Of the installed chart; back when the test is over. */
let before: ChartCarrier;
let granted: readonly Right[];
let used: readonly Used[];

beforeAll(async () => {
  before = await installedCarrier();
  // Everything the webhook ever does begins with no certificate and no entries.
  await useCarrier('none');
  await kubectl(['delete', 'secret', '-n', AGENT_NAMESPACE, NAME, '--ignore-not-found']);
  const sinceMs = Date.now();
  await useCarrier('webhook');
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
  await useCarrier(before);
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
