import { describe, expect, it } from 'vitest';
import { isSchema, propertiesOf, type Schema } from './chart-schema.ts';
import { generatedChartFiles, read } from './chart-readme.ts';
import { chartValues } from './chart-values.ts';

const values = chartValues(read('values.yaml'));
const schema: unknown = JSON.parse(read('values.schema.json'));

describe('the chart, made from the comments of values.yaml (node scripts/chart-readme.ts)', () => {
  const made = generatedChartFiles();

  it('has an up to date README', () => {
    expect(read('README.md')).toBe(made['README.md']);
  });

  it('has up to date descriptions and defaults in values.schema.json', () => {
    expect(schema).toEqual(JSON.parse(made['values.schema.json']));
  });
});

describe('values.yaml and values.schema.json', () => {
  it('know the same values', () => {
    // Helm hands `global` to every chart that is part of another.
    const known = documentedPaths(schema).filter((path) => path !== 'global');
    expect(known.sort()).toEqual(values.map(({ path }) => path.join('.')).sort());
  });

  it('leave no object open, save maps of free names and what Kubernetes alone defines', () => {
    const open = objectSchemas(schema, '').filter(({ own }) => own['additionalProperties'] === undefined);
    expect(open.map(({ path }) => path).sort()).toEqual([
      '.agent.affinity.nodeAffinity',
      '.agent.affinity.podAffinity',
      '.agent.affinity.podAntiAffinity',
      '.agent.extraEnv[].valueFrom',
      '.agent.resources.claims[]',
      '.gate.resources.claims[]',
      '.global',
      '.webhook.affinity.nodeAffinity',
      '.webhook.affinity.podAffinity',
      '.webhook.affinity.podAntiAffinity',
      '.webhook.resources.claims[]',
    ]);
  });
});

/** Where the schema stops to group values: at whatever has no properties, or a description of its own. */
function documentedPaths(node: unknown, path: readonly string[] = []): readonly string[] {
  const inner = isSchema(node) ? Object.entries(propertiesOf(node)) : [];
  const groups = inner.length > 0 && isSchema(node) && node['description'] === undefined;
  return groups ? inner.flatMap(([key, member]) => documentedPaths(member, [...path, key])) : [path.join('.')];
}

interface ObjectSchema {
  readonly path: string;
  readonly own: Schema;
}

function objectSchemas(node: unknown, path: string): readonly ObjectSchema[] {
  if (!isSchema(node)) return [];
  return [
    ...(node['type'] === 'object' ? [{ path, own: node }] : []),
    ...Object.entries(propertiesOf(node)).flatMap(([key, member]) => objectSchemas(member, `${path}.${key}`)),
    ...objectSchemas(node['items'], `${path}[]`),
  ];
}
