import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podMonitorCrd, securityContextConstraintsCrd } from '../../lab/published-crds.ts';
import { CHART_CASES, template } from '../support/chart.ts';
import { apply, deleteNamespaces, kubectl } from '../support/cluster.ts';

/** Objects are only tried here: with another Namespace than the product's, which is installed as other tests expect it. */
const NAMESPACE = 'pnc-test-chart';
const GOLDEN = join(import.meta.dirname, '../chart/golden');
let definitions: readonly string[] = [];

beforeAll(async () => {
  definitions = await Promise.all([securityContextConstraintsCrd(), podMonitorCrd()]);
  // PodMonitor's definition is too long for the annotation that `kubectl apply` leaves behind.
  for (const file of definitions) await kubectl(['apply', '--server-side', '-f', file]);
  for (const file of definitions) await kubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', file]);
  await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }]);
});
afterAll(async () => {
  await deleteNamespaces([NAMESPACE]);
  for (const file of definitions) await kubectl(['delete', '-f', file, '--ignore-not-found', '--timeout=60s']);
});

describe.each(CHART_CASES)('the chart with values: $name', ({ name, args }) => {
  it('renders what it always rendered', async () => {
    await expect(await template(args)).toMatchFileSnapshot(join(GOLDEN, `${name}.yaml`));
  });

  it('renders nothing that the API server would refuse', async () => {
    const manifests = await template(args, { namespace: NAMESPACE });
    const apply = ['apply', '--dry-run=server', '--validate=strict', '-f', '-'];
    const answers = (await kubectl(apply, { input: manifests })).split('\n').filter(Boolean);
    expect(answers).toHaveLength(manifests.split('\n').filter((line) => line.startsWith('kind: ')).length);
  });
});
