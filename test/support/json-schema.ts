type Schema = Readonly<Record<string, unknown>>;

/** The keywords that docs/schema/ uses; another one is a mistake of the schema. */
const KNOWN = new Set([
  '$defs',
  '$ref',
  '$schema',
  'additionalProperties',
  'const',
  'description',
  'enum',
  'items',
  'maximum',
  'minimum',
  'oneOf',
  'pattern',
  'properties',
  'required',
  'title',
  'type',
]);

/** Where and how a value departs from a JSON Schema of docs/schema/; empty: it does not. */
export function schemaProblems(root: Schema, value: unknown): readonly string[] {
  return check(root, value, { root, path: '$' });
}

interface At {
  readonly root: Schema;
  readonly path: string;
}

function check(schema: Schema, value: unknown, at: At): readonly string[] {
  const unknown = Object.keys(schema).filter((key) => !KNOWN.has(key));
  const { $ref, oneOf } = schema;
  return [
    ...unknown.map((key) => `${at.path}: the schema uses ${key}`),
    ...(typeof $ref === 'string' ? check(definition(at.root, $ref), value, at) : []),
    ...(Array.isArray(oneOf) ? checkOneOf(oneOf, value, at) : []),
    ...checkValue(schema, value, at),
    ...(isObject(value) ? checkObject(schema, value, at) : []),
    ...(Array.isArray(value) && isObject(schema['items']) ? checkItems(schema['items'], value, at) : []),
  ];
}

function definition({ $defs }: Schema, reference: string): Schema {
  const found = isObject($defs) ? $defs[reference.replace('#/$defs/', '')] : undefined;
  if (!isObject(found)) throw new Error(`${reference} is not defined`);
  return found;
}

function checkOneOf(schemas: readonly unknown[], value: unknown, at: At): readonly string[] {
  const fitting = schemas.filter((schema) => isObject(schema) && check(schema, value, at).length === 0);
  return fitting.length === 1 ? [] : [`${at.path}: fits ${fitting.length} of ${schemas.length}: ${shown(value)}`];
}

function checkValue(schema: Schema, value: unknown, { path }: At): readonly string[] {
  const { type, minimum, maximum, pattern } = schema;
  const wrong = (what: string) => [`${path}: ${shown(value)} is not ${what}`];
  if (typeof type === 'string' && !isOfType(type, value)) return wrong(type);
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(value)) return wrong(`one of ${shown(schema['enum'])}`);
  if ('const' in schema && schema['const'] !== value) return wrong(shown(schema['const']));
  if (typeof value === 'number' && typeof minimum === 'number' && value < minimum) return wrong(`at least ${minimum}`);
  if (typeof value === 'number' && typeof maximum === 'number' && value > maximum) return wrong(`at most ${maximum}`);
  if (typeof value === 'string' && typeof pattern === 'string' && !new RegExp(pattern).test(value))
    return wrong(pattern);
  return [];
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  return type === 'object' ? isObject(value) : typeof value === type;
}

function checkObject(schema: Schema, value: Schema, at: At): readonly string[] {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const more = schema['additionalProperties'];
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : [];
  return [
    ...required.filter((key) => !(String(key) in value)).map((key) => `${at.path}: ${String(key)} is missing`),
    ...Object.entries(value).flatMap(([key, member]) => {
      const own = properties[key] ?? more;
      const inside = { ...at, path: `${at.path}.${key}` };
      if (isObject(own)) return check(own, member, inside);
      return own === false ? [`${inside.path}: is not in the schema`] : [];
    }),
  ];
}

function checkItems(items: Schema, value: readonly unknown[], at: At): readonly string[] {
  return value.flatMap((item, index) => check(items, item, { ...at, path: `${at.path}[${index}]` }));
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 200);
}
