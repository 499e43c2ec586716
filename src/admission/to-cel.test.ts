import { describe, expect, it } from 'vitest';
import { evaluateCel } from '../../test/support/cel-policy.ts';
import { evaluate } from './evaluate.ts';
import {
  and,
  choose,
  concat,
  equals,
  exists,
  type Expression,
  filter,
  has,
  input,
  isEmpty,
  isIn,
  join,
  keys,
  list,
  literal,
  lookup,
  map,
  matches,
  named,
  NO_ITEMS,
  not,
  object,
  onlyWhen,
  or,
  read,
  replace,
  setting,
} from './expression.ts';
import { namedIn, toCel } from './to-cel.ts';

const pod = { metadata: { labels: { "it's": 'a\\b', long: 'x'.repeat(120) } }, spec: { numbers: [3, 1, 2], none: [] } };
const inputs = { object: pod, oldObject: null, namespaceObject: {}, request: { operation: 'CREATE' as const } };
const settings = {
  mode: 'container',
  nodeSelector: { a: 'b', "it's": '1' },
  name: "o'clock",
  image: 'a\\b',
  imagePullPolicy: 'Always',
  args: ['"quoted"', '\n'],
  resources: { requests: { cpu: 1 } },
  enroll: 'injected',
  sidecarName: 's',
} as const;

const labels = read(input('object'), ['metadata', '?labels'], object({}));
const numbers = read(input('object'), ['spec', '?numbers'], NO_ITEMS);
const yes = equals(literal(1), 1);
const no = equals(literal(1), 2);
const long = read(labels, ['?long'], '');

const EXPRESSIONS: Readonly<Record<string, Expression>> = {
  quotes: list("it's", 'a "word"', 'a\\b', '\\'),
  'quotes in a path': read(labels, ["?it's"], ''),
  'quotes in a key': has(labels, "it's"),
  'a fallback that is a path': read(labels, ['?none'], read(labels, ["?it's"], '')),
  'settings of each type': list(setting('name'), setting('image')),
  'a list of settings': concat(list('init'), setting('args')),
  'or in and': and(or(yes, no), or(no, yes)),
  'and in or': or(and(no, yes), and(yes, no)),
  'not of a conjunction': not(and(yes, no)),
  'not of a loop': not(exists(numbers, 'n', (n) => equals(n, 2))),
  'choose in choose': choose(no, literal('a'), choose(yes, literal('b'), literal('c'))),
  'choose in concat': concat('a', choose(yes, literal('b'), literal('c')), 'd'),
  'a comparison in a comparison': equals(equals(literal(1), 1), true),
  'loops in loops': filter(numbers, 'a', (a) => exists(numbers, 'b', (b) => and(not(equals(a, b)), equals(b, 1)))),
  'joined names': join(
    map(list('a', 'b'), 'x', (x) => concat(x, '!')),
    ', ',
  ),
  'keys of a map': filter(keys(labels), 'k', (k) => equals(lookup(labels, k, ''), 'a\\b')),
  'keys of a setting': map(keys(setting('nodeSelector')), 'k', (k) => list(k, lookup(setting('nodeSelector'), k, ''))),
  'a key that is not there': list(lookup(labels, literal('none'), 'x'), lookup(labels, literal("it's"), 'x')),
  'what a text holds': list(matches(long, '^x+$'), matches(read(labels, ["?it's"], ''), '\\\\'), matches(long, 'y')),
  'what is replaced in a text': replace(replace(literal('a\\\n\t"$&'), '\\', '\\\\'), '\n', "\\n'"),
  'an empty list': list(equals(numbers, NO_ITEMS), isEmpty(read(input('object'), ['spec', '?none'], NO_ITEMS))),
  'an index': list(read(numbers, ['?1'], 0), read(numbers, ['?9'], 7)),
  'fields that are there and not': object({
    a: onlyWhen(yes, numbers),
    b: onlyWhen(no, numbers),
    c: object({ d: no }),
  }),
  'what is too long for a line': and(
    ...[long, long, long].map((one) => or(equals(one, long), isIn(one, list('x', 'y')))),
  ),
};

describe('CEL', () => {
  it.each(Object.entries(EXPRESSIONS))('says what evaluate says: %s', (_, expression) => {
    const wanted = evaluate(expression, { inputs, settings: { ...settings } });
    expect(evaluateCel(expression, settings, inputs)).toEqual(wanted);
  });

  it('names variables once, each after what it needs', () => {
    const first = named('first', 'why', numbers);
    const second = named(
      'second',
      'why',
      exists(first, 'n', (n) => equals(n, 1)),
    );
    expect(namedIn([and(second, isEmpty(first))]).map(({ name }) => name)).toEqual(['first', 'second']);
    expect(() => namedIn([first, named('first', 'why', NO_ITEMS)])).toThrow('two expressions are called first');
  });

  it('is inlined where there are no variables', () => {
    const either = named('either', 'why', or(yes, no));
    const cel = toCel(and(either, yes), { settings: String, named: 'inline' });
    expect(cel).toBe('(1 == 1 || 1 == 2) && 1 == 1');
  });
});
