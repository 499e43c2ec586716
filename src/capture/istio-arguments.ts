import type { Container, Pod } from '../pod/pod.ts';
import { KNOWN_FLAGS, SHORT_NAMES, SWITCHES } from './istio-flags.ts';

/** What the arguments say, by flag name; and those that cannot be understood, which may hold a setting and so must not be passed over. */
export interface IstioArguments {
  readonly values: ReadonlyMap<string, string>;
  readonly unknown: readonly string[];
}

/** Where Istio's injector left its resolved arguments: handed down to a gate after `--`, or in a container of Istio's own. */
export interface ArgumentCarrier {
  readonly container: Container;
  /** Without the leading `istio-iptables`. */
  readonly argv: readonly string[];
}

const TOOL = 'istio-iptables';
const OWN_CARRIERS = new Set(['istio-validation', 'istio-init']);

/** The first init container that carries `istio-iptables` arguments. */
export function argumentCarrier(pod: Pod): ArgumentCarrier | undefined {
  for (const container of pod.initContainers) {
    // A gate written by hand may name its verb in `command`.
    const words = [...container.command, ...container.args];
    const separator = words.indexOf('--');
    if (separator >= 0 && words[separator + 1] === TOOL) return { container, argv: words.slice(separator + 2) };
    if (OWN_CARRIERS.has(container.name) && container.args[0] === TOOL)
      return { container, argv: container.args.slice(1) };
  }
  return undefined;
}

/**
 * Reads an `istio-iptables` command line as its own flag library does: `-p 1`, `-p=1`, `-p1`, `-np1`, `--name 1`, `--name=1`; the last
 * one counts.
 */
export function readIstioArguments(argv: readonly string[]): IstioArguments {
  const values = new Map<string, string>();
  const unknown: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    const flags = word.startsWith('--') ? longFlag(word) : shortFlags(word);
    if (flags === undefined) {
      unknown.push(word);
      continue;
    }
    for (const { name, value } of flags) {
      if (value !== undefined) values.set(name, value);
      else if (index + 1 < argv.length) {
        index += 1;
        values.set(name, argv[index] ?? '');
      } else unknown.push(word);
    }
  }
  return { values, unknown };
}

/** A flag as it stands in one word; without a value, that is the next word. */
interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

function longFlag(word: string): readonly Flag[] | undefined {
  const [, name, value] = /^--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (name === undefined) return undefined;
  // Logging flags differ between versions and never hold a traffic setting; but whether an unknown one would take the next word cannot be known.
  if (!KNOWN_FLAGS.has(name) && !(name.startsWith('log_') && value !== undefined)) return undefined;
  return [{ name, value: value ?? (SWITCHES.has(name) ? 'true' : undefined) }];
}

/** `-p1`, and switches before it in the same word. An `=` counts only with something behind it: `-x=` gives `=`, as in pflag. */
function shortFlags(word: string): readonly Flag[] | undefined {
  if (!/^-[A-Za-z]/.test(word)) return undefined;
  const flags: Flag[] = [];
  for (let at = 1; at < word.length; at += 1) {
    const letter = word.charAt(at);
    const name = /^[A-Za-z]$/.test(letter) ? SHORT_NAMES[letter] : undefined;
    if (name === undefined) return undefined;
    const rest = word.slice(at + 1);
    if (rest.length > 1 && rest.startsWith('=')) return [...flags, { name, value: rest.slice(1) }];
    if (!SWITCHES.has(name)) return [...flags, { name, value: rest === '' ? undefined : rest }];
    flags.push({ name, value: 'true' });
  }
  return flags;
}
