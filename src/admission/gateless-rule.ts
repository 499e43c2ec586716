import { ARGUMENTS_ANNOTATION } from '../capture/carried-arguments.ts';
import {
  NAMES_PLUGIN,
  PLUGIN_LIST,
  REQUIRED_PLUGINS,
  REQUIRED_PLUGINS_KEY,
  REQUIRED_PLUGINS_OF_POD,
} from '../enrollment/required-plugins.ts';
import {
  all,
  and,
  choose,
  concat,
  type Expression,
  exists,
  filter,
  has,
  input,
  join,
  keys,
  list,
  literal,
  lookup,
  map,
  matches,
  named,
  NO_FIELDS,
  NO_ITEMS,
  not,
  or,
  read,
  replace,
  setting,
  equals,
} from './expression.ts';
import { annotations, replaced } from './gate-rule.ts';

/**
 * The rule of pods without a gate: what they carry instead of one. The runtime's validator holds them back, by annotations of the sandbox
 * as it was made, so every annotation it may go by has to name our plugin, and nodes without a validator must be out of reach.
 */

const pluginKeys = named(
  'pluginKeys',
  'Annotations by which the runtime knows which plugins a container needs.',
  pluginKeysIn(annotations),
);

/** Lists of others are extended, each; the plain key is added where none is for the whole pod. */
const guardKeys = named(
  'guardKeys',
  'Those of them that will be there: one must be for the whole pod.',
  concat(pluginKeys, choose(isForWholePod(annotations), NO_ITEMS, list(REQUIRED_PLUGINS))),
);

/** A list of plugins that cannot be extended without guessing. */
export const unreadableKeys = named(
  'unreadableKeys',
  'Lists of plugins that are not JSON, which nobody can extend.',
  filter(pluginKeys, 'k', (k) => not(matches(lookup(annotations, k, ''), PLUGIN_LIST))),
);

const words = named(
  'words',
  'Of the init container that goes, all that is carried on: names and values of variables, too.',
  concat(
    read(replaced, ['?0', '?args'], NO_ITEMS),
    map(variablesOfReplaced(), 'e', (e) => concat(read(e, ['name'], ''), read(e, ['?value'], ''))),
  ),
);

/** JSON would need them escaped by number, which CEL cannot do; no argument of Istio has one. */
export const hasControlCharacters = named(
  'hasControlCharacters',
  'Other than tab and line end.',
  exists(words, 'w', (w) => matches(w, '[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]')),
);

/** Annotations to set, as pairs of key and value. */
export const annotationsToSet = concat(
  map(guardKeys, 'k', (k) => list(k, withOurs(lookup(annotations, k, '[]')))),
  list(list(ARGUMENTS_ANNOTATION, carriedText())),
);

/** Labels a node must have, as pairs of key and value. */
export const nodeLabelsToSet = map(keys(setting('nodeSelector')), 'k', (k) =>
  list(k, lookup(setting('nodeSelector'), k, '')),
);

/** Only nodes whose runtime has the validator can take the pod. */
export const selectsNodes = named(
  'selectsNodes',
  'Nodes without the validator would start the pod unguarded while the agent is away.',
  all(keys(setting('nodeSelector')), 'k', (k) =>
    equals(
      lookup(read(input('object'), ['spec', '?nodeSelector'], NO_FIELDS), k, ''),
      lookup(setting('nodeSelector'), k, ''),
    ),
  ),
);

/** Whatever the runtime goes by for any container, of now or later, names our plugin. `requiresPlugin` says the same. */
export function requiresPluginIn(ofPod: Expression): Expression {
  return and(
    isForWholePod(ofPod),
    all(pluginKeysIn(ofPod), 'k', (k) =>
      and(matches(lookup(ofPod, k, ''), PLUGIN_LIST), matches(lookup(ofPod, k, ''), NAMES_PLUGIN)),
    ),
  );
}

function isForWholePod(ofPod: Expression): Expression {
  return or(has(ofPod, REQUIRED_PLUGINS), has(ofPod, REQUIRED_PLUGINS_OF_POD));
}

export function pluginKeysIn(ofPod: Expression): Expression {
  return filter(keys(ofPod), 'k', (k) => matches(k, REQUIRED_PLUGINS_KEY));
}

/** A readable list has one `]`, at its end. */
function withOurs(plugins: Expression): Expression {
  const longer = choose(
    matches(plugins, '^\\[ *\\]$'),
    literal(`[${NAMES_PLUGIN}]`),
    replace(plugins, ']', `,${NAMES_PLUGIN}]`),
  );
  return choose(matches(plugins, NAMES_PLUGIN), plugins, longer);
}

function carriedText(): Expression {
  const args = map(read(replaced, ['?0', '?args'], NO_ITEMS), 'a', jsonText);
  const env = map(variablesOfReplaced(), 'e', (e) => {
    const value = concat(',"value":', jsonText(read(e, ['?value'], '')));
    return concat('{"name":', jsonText(read(e, ['name'], '')), choose(has(e, 'valueFrom'), literal(''), value), '}');
  });
  return concat('{"args":[', join(args, ','), '],"env":[', join(env, ','), ']}');
}

function variablesOfReplaced(): Expression {
  return read(replaced, ['?0', '?env'], NO_ITEMS);
}

/** A text as JSON, as far as it holds no other control characters. */
function jsonText(text: Expression): Expression {
  const escapes = [
    ['\\', '\\\\'],
    ['"', '\\"'],
    ['\n', '\\n'],
    ['\r', '\\r'],
    ['\t', '\\t'],
  ] as const;
  return concat(
    '"',
    escapes.reduce((escaped, [from, to]) => replace(escaped, from, to), text),
    '"',
  );
}
