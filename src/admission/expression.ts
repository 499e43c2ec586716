import type { JsonObject } from './json.ts';

/**
 * A small expression language over JSON, as values: `evaluate` runs an expression here, `toCel` writes it as CEL for the API server.
 * So a rule is written once, and the admission policies of the chart cannot say anything else than the product's own code.
 */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'object'; readonly fields: readonly Field[] }
  | { readonly kind: 'setting'; readonly name: string }
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'element'; readonly name: string }
  | { readonly kind: 'named'; readonly name: string; readonly why: string; readonly is: Expression }
  | { readonly kind: 'read'; readonly of: Expression; readonly steps: readonly string[]; readonly fallback: Expression }
  | { readonly kind: 'lookup'; readonly of: Expression; readonly key: Expression; readonly fallback: Expression }
  | { readonly kind: 'keys'; readonly of: Expression }
  | { readonly kind: 'has'; readonly of: Expression; readonly key: string }
  | { readonly kind: 'matches'; readonly of: Expression; readonly pattern: string }
  | { readonly kind: 'replace'; readonly of: Expression; readonly from: string; readonly to: string }
  | { readonly kind: 'equals'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'in'; readonly item: Expression; readonly list: Expression }
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'and' | 'or' | 'concat'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choose'; readonly when: Expression; readonly then: Expression; readonly otherwise: Expression }
  | { readonly kind: 'join'; readonly list: Expression; readonly separator: string }
  | {
      readonly kind: 'exists' | 'all' | 'filter' | 'map';
      readonly list: Expression;
      readonly element: string;
      readonly body: Expression;
    };

/** A field of an object; `when` false: the object has no such field. */
export interface Field {
  readonly key: string;
  readonly value: Expression;
  readonly when: Expression | undefined;
}

/** What an expression is evaluated with. */
export interface Scope {
  /** `object`, `oldObject`, `namespaceObject`, `request`: the names the API server gives them. */
  readonly inputs: JsonObject;
  readonly settings: JsonObject;
}

export function literal(value: string | number | boolean): Expression {
  return { kind: 'literal', value };
}

export function list(...items: readonly (Expression | string)[]): Expression {
  return { kind: 'list', items: items.map(expressionOf) };
}

export function object(fields: Readonly<Record<string, Expression | Omit<Field, 'key'>>>): Expression {
  const fieldOf = ([key, value]: [string, Expression | Omit<Field, 'key'>]): Field =>
    'kind' in value ? { key, value, when: undefined } : { key, ...value };
  return { kind: 'object', fields: Object.entries(fields).map(fieldOf) };
}

/** A field that is there only when the condition holds. */
export function onlyWhen(when: Expression, value: Expression): Omit<Field, 'key'> {
  return { when, value };
}

/** A value of whoever installs the product. */
export function setting(name: string): Expression {
  return { kind: 'setting', name };
}

export function input(name: 'object' | 'oldObject' | 'namespaceObject' | 'request'): Expression {
  return { kind: 'input', name };
}

/** Gives an expression a name, under which CEL evaluates it at most once, and the reason it is there. */
export function named(name: string, why: string, is: Expression): Expression {
  return { kind: 'named', name, why, is };
}

/**
 * The value at the end of a path, or the fallback where a step that starts with `?` is absent. Values whose type is not that of the
 * fallback count as absent, so that a malformed manifest is the same as an incomplete one; the API server lets neither in.
 * `?0` is the first item of a list. A step without `?` must be there.
 */
export function read(
  of: Expression,
  steps: readonly string[],
  fallback: Expression | string | number | boolean,
): Expression {
  return { kind: 'read', of, steps, fallback: typeof fallback === 'object' ? fallback : literal(fallback) };
}

export const NO_ITEMS: Expression = { kind: 'list', items: [] };
export const NO_FIELDS: Expression = { kind: 'object', fields: [] };

/** The value of a key that is itself an expression, or the fallback, as with `read`. */
export function lookup(of: Expression, key: Expression, fallback: string): Expression {
  return { kind: 'lookup', of, key, fallback: literal(fallback) };
}

/** The keys of a map, to loop over: in CEL a loop over a map is one over its keys. */
export function keys(of: Expression): Expression {
  return { kind: 'keys', of };
}

/** The text has a part that matches. The pattern means the same in RE2 and in JavaScript, and holds no line end. */
export function matches(of: Expression, pattern: string): Expression {
  return { kind: 'matches', of, pattern };
}

/** Every `from` of a text by `to`. */
export function replace(of: Expression, from: string, to: string): Expression {
  return { kind: 'replace', of, from, to };
}

/** The key is there, whatever its value. */
export function has(of: Expression, key: string): Expression {
  return { kind: 'has', of, key };
}

export function equals(left: Expression, right: Expression | string | number | boolean): Expression {
  return { kind: 'equals', left, right: typeof right === 'object' ? right : literal(right) };
}

export function isIn(item: Expression, items: Expression): Expression {
  return { kind: 'in', item, list: items };
}

export function not(of: Expression): Expression {
  return { kind: 'not', of };
}

export function and(...parts: readonly Expression[]): Expression {
  return { kind: 'and', parts };
}

export function or(...parts: readonly Expression[]): Expression {
  return { kind: 'or', parts };
}

/** Of strings or of lists. */
export function concat(...parts: readonly (Expression | string)[]): Expression {
  return { kind: 'concat', parts: parts.map(expressionOf) };
}

export function choose(when: Expression, then: Expression, otherwise: Expression): Expression {
  return { kind: 'choose', when, then, otherwise };
}

export function join(items: Expression, separator: string): Expression {
  return { kind: 'join', list: items, separator };
}

type Body = (element: Expression) => Expression;

/** `element` names the item in CEL; nested loops need different names. */
export function exists(items: Expression, element: string, body: Body): Expression {
  return { kind: 'exists', list: items, element, body: body({ kind: 'element', name: element }) };
}

export function all(items: Expression, element: string, body: Body): Expression {
  return { kind: 'all', list: items, element, body: body({ kind: 'element', name: element }) };
}

export function filter(items: Expression, element: string, body: Body): Expression {
  return { kind: 'filter', list: items, element, body: body({ kind: 'element', name: element }) };
}

export function map(items: Expression, element: string, body: Body): Expression {
  return { kind: 'map', list: items, element, body: body({ kind: 'element', name: element }) };
}

export function isEmpty(items: Expression): Expression {
  return equals(items, NO_ITEMS);
}

function expressionOf(value: Expression | string): Expression {
  return typeof value === 'string' ? literal(value) : value;
}
