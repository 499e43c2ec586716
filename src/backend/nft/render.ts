import { ControllerError } from '../../errors.ts';
import type { Chain, Rule, Ruleset, RuleSetDefinition } from '../../ruleset/ruleset.ts';
import { TABLE } from '../../ruleset/ruleset.ts';
import { identifier, number, policyComment, ruleText, setElements, SET_TYPES } from './rule-text.ts';

/** How the transaction meets what may already be there. */
export interface RenderOptions {
  /**
   * `replace` (default): whatever stands under our table's name is replaced. `create`: fails with EEXIST if it exists.
   * Deleting a table, even one made in the same transaction, makes closing the netlink socket wait for an RCU grace period (5–15 ms):
   * in a netns known to be fresh, `create` saves that and is as safe.
   */
  readonly over?: 'replace' | 'create';
}

/**
 * The whole ruleset as one nft transaction: it is applied in full or not at all, with no moment in between.
 * nft 1.0.6 wants newlines between statements (`} }` on one line is a syntax error) and keeps a table's comment only if it
 * stands in the statement that makes the table.
 */
export function renderNft(ruleset: Ruleset, options: RenderOptions = {}): string {
  const table = `table inet ${identifier(ruleset.table)}`;
  const opening =
    options.over === 'create' ? [`create ${table} {`] : [`add ${table}`, `delete ${table}`, `add ${table} {`];
  const body = [...ruleset.sets.flatMap(renderSet), ...ruleset.chains.flatMap(renderChain)];
  const content = body.length === 0 ? [] : [`${table} {`, ...body.map((line) => `\t${line}`), '}'];
  return lines([...opening, `\tcomment "${policyComment(ruleset.policyHash)}"`, '}', ...content]);
}

/** Removes our table and nothing else; no error if it is not there. */
export function renderClean(): string {
  return lines([`add table inet ${TABLE}`, `delete table inet ${TABLE}`]);
}

function renderSet(set: RuleSetDefinition): string[] {
  const elements = setElements(set);
  return [
    `set ${identifier(set.name)} {`,
    `\ttype ${SET_TYPES[set.type]}`,
    ...(set.type === 'port' ? [] : ['\tflags interval']),
    // An empty `elements = { }` is a syntax error; a set without the line is simply empty.
    ...(elements.length === 0 ? [] : [`\telements = { ${elements.join(', ')} }`]),
    '}',
  ];
}

function renderChain(chain: Chain): string[] {
  const { base } = chain;
  return [
    `chain ${identifier(chain.name)} {`,
    ...(base === undefined
      ? []
      : [`\ttype ${base.type} hook ${base.hook} priority ${priority(base.priority)}; policy accept;`]),
    ...chain.rules.map((rule) => `\t${renderRule(rule)}`),
    '}',
  ];
}

function renderRule(rule: Rule): string {
  const { matches, verdict, comment } = ruleText(rule);
  return [...matches, 'counter', verdict, comment].join(' ');
}

function priority(value: number): string {
  if (value >= 0) return number(value, 1000);
  return `-${number(-value, 1000)}`;
}

function lines(parts: readonly string[]): string {
  const script = `${parts.join('\n')}\n`;
  // A last guard against text that should never have come this far: nft would read anything beyond ASCII as part of a name.
  if (!/^[\x20-\x7e\t\n]*$/.test(script))
    throw new ControllerError('Internal', 'a nft script holds characters beyond ASCII');
  return script;
}
