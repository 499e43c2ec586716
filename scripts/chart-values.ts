import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml';

/** One value of the chart: its path in values.yaml, what it is by default, and the comment that documents it. */
export interface ChartValue {
  readonly path: readonly string[];
  readonly fallback: unknown;
  readonly description: string;
}

const MARK = '--';

/**
 * The values of a values.yaml, in its order. A comment `# -- text` documents the value below it, maps as a whole; a map without one only
 * groups values. Throws for a value that nothing documents.
 */
export function chartValues(yaml: string): readonly ChartValue[] {
  const { contents, errors } = parseDocument(yaml);
  if (errors[0] !== undefined) throw errors[0];
  if (!isMap(contents)) throw new Error('values.yaml is not a map');
  return valuesOf(contents, []);
}

function valuesOf(map: YAMLMap, parents: readonly string[]): readonly ChartValue[] {
  return map.items.flatMap((pair, index) => {
    const path = [...parents, keyOf(pair)];
    const description = documentation(index === 0 ? [map.commentBefore, commentOf(pair)] : [commentOf(pair)]);
    if (description !== undefined) return [{ path, fallback: plain(pair.value), description }];
    if (isMap(pair.value) && pair.value.items.length > 0) return valuesOf(pair.value, path);
    throw new Error(`values.yaml: ${path.join('.')} has no comment of the form "# -- text" above it`);
  });
}

function keyOf({ key }: Pair): string {
  if (isScalar(key) && typeof key.value === 'string') return key.value;
  throw new Error('values.yaml: a key is not text');
}

/** The parser keeps the comment above the first key of a map with the map, any other with the key. */
function commentOf({ key }: Pair): string | undefined {
  return isScalar(key) ? (key.commentBefore ?? undefined) : undefined;
}

function documentation(comments: readonly (string | null | undefined)[]): string | undefined {
  const lines = comments.flatMap((comment) => comment?.split('\n') ?? []).map((line) => line.trim());
  const marked = lines.findLast((line) => line.startsWith(MARK));
  return marked?.slice(MARK.length).trim();
}

function plain(value: unknown): unknown {
  return isMap(value) || isScalar(value) || hasJson(value) ? value.toJSON() : value;
}

function hasJson(value: unknown): value is { toJSON(): unknown } {
  return typeof value === 'object' && value !== null && 'toJSON' in value;
}
