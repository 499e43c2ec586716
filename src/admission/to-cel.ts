import type { Expression, Field } from './expression.ts';

export interface CelOptions {
  /** The text that stands for a setting: a template's placeholder, or the value itself as CEL. */
  readonly settings: (name: string) => string;
  /** `variable`: named expressions are variables of the policy. `inline`: where there are none, as in match conditions. */
  readonly named: 'variable' | 'inline';
}

/** Lines longer than this are broken. */
const LINE_CHARACTERS_MAX = 110;

/** An expression as CEL of the API server (Kubernetes 1.30 or newer: optional types), broken into lines that people can read. */
export function toCel(expression: Expression, options: CelOptions): string {
  return celOf(expression, options);
}

/** The named expressions that an expression needs, each after those it needs itself. */
export function namedIn(expressions: readonly Expression[]): readonly Extract<Expression, { kind: 'named' }>[] {
  const found = new Map<string, Extract<Expression, { kind: 'named' }>>();
  const visit = (e: Expression): void => {
    childrenOf(e).forEach(visit);
    if (e.kind !== 'named') return;
    if (found.has(e.name) && found.get(e.name) !== e) throw new Error(`two expressions are called ${e.name}`);
    found.set(e.name, e);
  };
  expressions.forEach(visit);
  return [...found.values()];
}

function celOf(e: Expression, options: CelOptions): string {
  const cel = (one: Expression) => celOf(one, options);
  const operand = (one: Expression) => parenthesised(one, options, COMPOUND);
  switch (e.kind) {
    case 'literal':
      return typeof e.value === 'string' ? quoted(e.value) : String(e.value);
    case 'list':
      return enclosed('[', listItems(e.items, options), ']');
    case 'object':
      return enclosed(
        '{',
        e.fields.map((field) => fieldCel(field, options)),
        '}',
      );
    case 'setting':
      return options.settings(e.name);
    case 'input':
    case 'element':
      return e.name;
    case 'named':
      return options.named === 'variable' ? `variables.${e.name}` : cel(e.is);
    case 'read':
      return `${operand(e.of)}${e.steps.map(stepCel).join('')}${e.steps.some(isOptional) ? `.orValue(${cel(e.fallback)})` : ''}`;
    case 'lookup':
      return `${operand(e.of)}[?${cel(e.key)}].orValue(${cel(e.fallback)})`;
    case 'keys':
      return operand(e.of);
    case 'matches':
      return `${operand(e.of)}.matches(${quoted(e.pattern)})`;
    case 'replace':
      return `${operand(e.of)}.replace(${quoted(e.from)}, ${quoted(e.to)})`;
    case 'has':
      return `${quoted(e.key)} in ${operand(e.of)}`;
    case 'equals':
      return `${operand(e.left)} == ${operand(e.right)}`;
    case 'in':
      return `${operand(e.item)} in ${operand(e.list)}`;
    case 'not':
      return e.of.kind === 'equals' ? `${operand(e.of.left)} != ${operand(e.of.right)}` : `!${operand(e.of)}`;
    case 'and':
      return chained(
        e.parts.map((part) => parenthesised(part, options, ['or', 'choose'])),
        ' &&',
      );
    case 'or':
      return chained(
        e.parts.map((part) => parenthesised(part, options, ['and', 'choose'])),
        ' ||',
      );
    case 'concat':
      return chained(e.parts.map(operand), ' +');
    case 'choose':
      return chained([operand(e.when), `? ${branchCel(e.then, options)}`, `: ${branchCel(e.otherwise, options)}`], '');
    case 'join':
      return `${operand(e.list)}.join(${quoted(e.separator)})`;
    case 'exists':
    case 'all':
    case 'filter':
    case 'map':
      return `${operand(e.list)}.${e.kind}${enclosed('(', [e.element, cel(e.body)], ')')}`;
  }
}

const COMPOUND: readonly Expression['kind'][] = ['and', 'or', 'not', 'equals', 'in', 'has', 'concat', 'choose'];

function parenthesised(e: Expression, options: CelOptions, kinds: readonly Expression['kind'][]): string {
  const shown = e.kind === 'named' && options.named === 'inline' ? e.is : e;
  return kinds.includes(shown.kind) ? enclosed('(', [celOf(shown, options)], ')') : celOf(shown, options);
}

/**
 * Values are `dyn`: the API server wants the values of one map to have one type, and a manifest's have many. A field that is not there
 * is null, which is the same in Kubernetes JSON.
 */
function fieldCel({ key, value, when }: Field, options: CelOptions): string {
  const shown = when === undefined ? asDyn(celOf(value, options)) : fieldOrNull(when, value, options);
  return `${quoted(key)}: ${shown}`;
}

function fieldOrNull(when: Expression, value: Expression, options: CelOptions): string {
  const parts = [parenthesised(when, options, COMPOUND), `? ${asDyn(celOf(value, options))}`, ': dyn(null)'];
  return chained(parts, '');
}

/** So it wants the items of one list; what is not written out may be `dyn` for it, or not. */
function listItems(items: readonly Expression[], options: CelOptions): readonly string[] {
  const cels = items.map((item) => celOf(item, options));
  const isPlain = items.length < 2 || items.every(({ kind }) => kind === 'literal' || kind === 'setting');
  return isPlain ? cels : cels.map(asDyn);
}

/** Both branches must have one type too; strings have, and messages must not become `dyn`. */
function branchCel(e: Expression, options: CelOptions): string {
  const cel = parenthesised(e, options, ['choose']);
  return isText(e) ? cel : asDyn(cel);
}

function isText(e: Expression): boolean {
  if (e.kind === 'literal') return typeof e.value === 'string';
  return (
    e.kind === 'join' ||
    e.kind === 'lookup' ||
    e.kind === 'replace' ||
    (e.kind === 'concat' && e.parts.every(isText)) ||
    (e.kind === 'choose' && isText(e.then))
  );
}

function asDyn(cel: string): string {
  return cel.startsWith('dyn(') ? cel : enclosed('dyn(', [cel], ')');
}

function isOptional(step: string): boolean {
  return step.startsWith('?');
}

function stepCel(step: string): string {
  const mark = isOptional(step) ? '?' : '';
  const key = step.slice(mark.length);
  if (/^\d+$/.test(key)) return `[${mark}${key}]`;
  return /^[A-Za-z]\w*$/.test(key) ? `.${mark}${key}` : `[${mark}${quoted(key)}]`;
}

/** Line ends and tabs by name: a CEL text of one line cannot hold the first. */
function quoted(text: string): string {
  const escaped = text.replaceAll(/[\\']/g, '\\$&');
  return `'${escaped.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}'`;
}

function enclosed(open: string, parts: readonly string[], close: string): string {
  const line = `${open}${parts.join(', ')}${close}`;
  if (fits(line)) return line;
  return [open, parts.map((part) => indented(part)).join(',\n'), close].join('\n');
}

function chained(parts: readonly string[], operator: string): string {
  const line = parts.join(`${operator} `);
  if (fits(line)) return line;
  return parts.map((part, index) => (index === 0 ? part : indented(part))).join(`${operator}\n`);
}

function fits(line: string): boolean {
  return line.length <= LINE_CHARACTERS_MAX && !line.includes('\n');
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}

function childrenOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'list':
      return e.items;
    case 'object':
      return e.fields.flatMap(({ value, when }) => (when === undefined ? [value] : [when, value]));
    case 'named':
      return [e.is];
    case 'read':
      return [e.of, e.fallback];
    case 'lookup':
      return [e.of, e.key, e.fallback];
    case 'has':
    case 'keys':
    case 'matches':
    case 'not':
    case 'replace':
      return [e.of];
    case 'equals':
      return [e.left, e.right];
    case 'in':
      return [e.item, e.list];
    case 'and':
    case 'or':
    case 'concat':
      return e.parts;
    case 'choose':
      return [e.when, e.then, e.otherwise];
    case 'join':
      return [e.list];
    case 'exists':
    case 'all':
    case 'filter':
    case 'map':
      return [e.list, e.body];
    case 'literal':
    case 'setting':
    case 'input':
    case 'element':
      return [];
  }
}
