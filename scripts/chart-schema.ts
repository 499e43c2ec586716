import type { ChartValue } from './chart-values.ts';

/** A JSON Schema, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

/** The schema of the chart's values with each value's comment and default on the property of its path, which must be there. */
export function describedSchema(schema: Schema, values: readonly ChartValue[]): Schema {
  return values.reduce((described, value) => describe(described, value.path, value), schema);
}

function describe(schema: Schema, path: readonly string[], value: ChartValue): Schema {
  const [key, ...rest] = path;
  if (key === undefined) {
    const { description: _description, default: _default, ...rules } = schema;
    return { description: value.description, default: value.fallback, ...rules };
  }
  const properties = propertiesOf(schema);
  const property = properties[key];
  if (!isSchema(property)) throw new Error(`values.schema.json does not know ${value.path.join('.')} of values.yaml`);
  return { ...schema, properties: { ...properties, [key]: describe(property, rest, value) } };
}

/** The properties of a schema of objects; none for any other. */
export function propertiesOf(schema: Schema): Readonly<Record<string, unknown>> {
  return isSchema(schema['properties']) ? schema['properties'] : {};
}

/** Is it a schema that can be looked into? */
export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
