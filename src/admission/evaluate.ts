import type { Expression, Field, Scope } from './expression.ts';
import { asList, asObject, asString, isJsonObject } from './json.ts';

/** Runs an expression. Never throws: what is malformed counts as absent. Items of lists are handed on, not copied. */
export function evaluate(expression: Expression, scope: Scope): unknown {
  return valueOf(expression, { ...scope, elements: {}, named: new Map() });
}

interface Frame extends Scope {
  readonly elements: Readonly<Record<string, unknown>>;
  /** Values of named expressions, each computed once. None of them depends on an element. */
  readonly named: Map<string, unknown>;
}

function valueOf(e: Expression, frame: Frame): unknown {
  const value = (one: Expression) => valueOf(one, frame);
  switch (e.kind) {
    case 'literal':
      return e.value;
    case 'list':
      return e.items.map(value);
    case 'object':
      return objectOf(e.fields, value);
    case 'setting':
      return frame.settings[e.name];
    case 'input':
      return frame.inputs[e.name];
    case 'element':
      return frame.elements[e.name];
    case 'named':
      return once(e.name, frame, () => value(e.is));
    case 'read':
      return sameType(readSteps(value(e.of), e.steps), value(e.fallback));
    case 'lookup':
      return sameType(readSteps(value(e.of), [`?${asString(value(e.key))}`]), value(e.fallback));
    case 'keys':
      return Object.keys(asObject(value(e.of)));
    case 'matches':
      return new RegExp(e.pattern).test(asString(value(e.of)));
    case 'replace':
      return asString(value(e.of)).replaceAll(e.from, () => e.to);
    case 'has':
      return Object.hasOwn(asObject(value(e.of)), e.key);
    case 'equals':
      return isSame(value(e.left), value(e.right));
    case 'in':
      return asList(value(e.list)).includes(value(e.item));
    case 'not':
      return value(e.of) !== true;
    case 'and':
      return e.parts.every((part) => value(part) === true);
    case 'or':
      return e.parts.some((part) => value(part) === true);
    case 'concat':
      return concatenated(e.parts.map(value));
    case 'choose':
      return value(e.when) === true ? value(e.then) : value(e.otherwise);
    case 'join':
      return asList(value(e.list)).map(asString).join(e.separator);
    case 'exists':
    case 'all':
    case 'filter':
    case 'map':
      return loop(e, asList(value(e.list)), frame);
  }
}

function loop(
  { kind, element, body }: Extract<Expression, { kind: 'exists' | 'all' | 'filter' | 'map' }>,
  items: readonly unknown[],
  frame: Frame,
): unknown {
  const of = (item: unknown) => valueOf(body, { ...frame, elements: { ...frame.elements, [element]: item } });
  if (kind === 'map') return items.map(of);
  const holds = (item: unknown) => of(item) === true;
  if (kind === 'filter') return items.filter(holds);
  return kind === 'exists' ? items.some(holds) : items.every(holds);
}

function objectOf(fields: readonly Field[], value: (one: Expression) => unknown): object {
  const present = fields.filter(({ when }) => when === undefined || value(when) === true);
  return Object.fromEntries(present.map((field) => [field.key, value(field.value)]));
}

function once(name: string, { named }: Frame, compute: () => unknown): unknown {
  if (!named.has(name)) named.set(name, compute());
  return named.get(name);
}

function readSteps(from: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>((value, step) => {
    const key = step.replace(/^\?/, '');
    if (Array.isArray(value)) return /^\d+$/.test(key) ? value[Number(key)] : undefined;
    const parent = asObject(value);
    return Object.hasOwn(parent, key) ? parent[key] : undefined;
  }, from);
}

function sameType(value: unknown, fallback: unknown): unknown {
  const alike =
    typeof value === typeof fallback &&
    Array.isArray(value) === Array.isArray(fallback) &&
    isJsonObject(value) === isJsonObject(fallback);
  return alike ? value : fallback;
}

/** Of scalars, and of lists with the empty one; the rules compare nothing else. */
function isSame(left: unknown, right: unknown): boolean {
  return Array.isArray(left) && Array.isArray(right) ? left.length === 0 && right.length === 0 : left === right;
}

function concatenated(parts: readonly unknown[]): unknown {
  return parts.every((part) => typeof part === 'string') ? parts.join('') : parts.flatMap(asList);
}
