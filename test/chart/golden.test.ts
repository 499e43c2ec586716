import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { tryCommand } from '../../lab/command.ts';
import { CHART, CHART_CASES, HELM, PRODUCT, template } from '../support/chart.ts';
import { at, textAt } from '../support/cluster.ts';

const GOLDEN = join(import.meta.dirname, 'golden');
const missing = !existsSync(HELM);
if (missing)
  process.stderr.write(
    `skipped: ${HELM} is missing; make lab-up builds it, and test/cluster/chart.test.ts renders the same\n`,
  );

describe.skipIf(missing)('what the chart renders (vitest run --project unit test/chart --update rewrites it)', () => {
  it.each(CHART_CASES)('with values: $name', async ({ name, args }) => {
    await expect(await template(args)).toMatchFileSnapshot(join(GOLDEN, `${name}.yaml`));
  });
});

describe.skipIf(missing)('helm lint --strict', () => {
  it('finds nothing', async () => {
    const { code, stdout, stderr } = await tryCommand([HELM, 'lint', '--strict', '-n', PRODUCT, CHART]);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toMatch(/\[(WARNING|ERROR)\]/);
  });
});

describe.skipIf(missing)('labels and annotations', () => {
  it('come onto every object', async () => {
    const own = ['--set=labels.team=mesh', '--set=annotations.owner=us', '--set=policies.proxyIdentity=true'];
    for (const args of [...CHART_CASES.map((given) => given.args), ['--set=webhook.certificate=cert-manager']]) {
      for (const object of parseAllDocuments(await template([...args, ...own])).map((document): unknown =>
        document.toJSON(),
      )) {
        const metadata = at(object, 'metadata');
        const where = `${textAt(object, 'kind')} ${textAt(metadata, 'name')}`;
        expect([where, at(metadata, 'labels', 'team'), at(metadata, 'annotations', 'owner')]).toEqual([
          where,
          'mesh',
          'us',
        ]);
      }
    }
    // Ten renderings; Helm takes its time on a busy machine.
  }, 60_000);
});
