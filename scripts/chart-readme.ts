import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describedSchema, isSchema } from './chart-schema.ts';
import { type ChartValue, chartValues } from './chart-values.ts';
import { markdown } from './docs-markdown.ts';

const CHART = join(resolve(import.meta.dirname, '..'), 'chart', 'istio-pod-network-controller');

/** What is made from the comments of values.yaml: the chart's README and the descriptions in values.schema.json. A unit test compares. */
export function generatedChartFiles(): Readonly<Record<'README.md' | 'values.schema.json', string>> {
  const values = chartValues(read('values.yaml'));
  const schema: unknown = JSON.parse(read('values.schema.json'));
  if (!isSchema(schema)) throw new Error('values.schema.json is not an object');
  return {
    'README.md': readme(values),
    'values.schema.json': `${JSON.stringify(describedSchema(schema, values), null, 2)}\n`,
  };
}

/** One file of the chart, as it is. */
export function read(file: string): string {
  return readFileSync(join(CHART, file), 'utf8');
}

const HEAD = `<!-- generated from values.yaml: node scripts/chart-readme.ts -->
# istio-pod-network-controller

The node agent that lets pods join an Istio sidecar mesh without any privilege of their own, what puts its gate into mesh pods, and the policies
that hold both to it. Kubernetes 1.30 or newer, Helm 3.15 or newer or Helm 4.

\`\`\`
helm template -n istio-pod-network-controller . | kubectl apply -f -
\`\`\`

or \`helm install -n istio-pod-network-controller --create-namespace istio-pod-network-controller .\`; how they differ, upgrades and what stays after
an uninstall: [install.md](../../docs/install.md). OpenShift: [openshift.md](../../docs/openshift.md).

A value that does not exist, or of a wrong type, is refused by Helm; so is what cannot work on the cluster, with the value to change.
`;

function readme(values: readonly ChartValue[]): string {
  const sections = new Map<string, ChartValue[]>();
  for (const value of values) {
    const section = value.path.length === 1 ? '' : (value.path[0] ?? '');
    sections.set(section, [...(sections.get(section) ?? []), value]);
  }
  const parts = [...sections].map(([name, members]) => [
    `## ${name === '' ? 'Values' : `\`${name}\``}`,
    '',
    table(members),
  ]);
  return `${HEAD}\n${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

function table(values: readonly ChartValue[]): string {
  const rows = values.map(({ path, fallback, description }) => [
    `\`${path.join('.')}\``,
    `\`${JSON.stringify(fallback)}\``,
    description,
  ]);
  return markdown(['value', 'default', 'meaning'], rows);
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(generatedChartFiles())) {
    writeFileSync(join(CHART, file), text);
    process.stdout.write(`${file}\n`);
  }
}
