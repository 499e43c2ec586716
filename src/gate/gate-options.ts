import { parseArgs } from 'node:util';
import { ControllerError, messageOf } from '../errors.ts';

/** What must hold before the gate opens: the mark in the netns, the annotation in the mounted file, or both. */
export type GateMode = 'mark' | 'annotation' | 'both';

export interface GateOptions {
  /** Where the downward API volume shows the pod's annotations. */
  readonly file: string;
  readonly annotationKey: string;
  readonly annotationValue: string;
  readonly timeoutMs: number;
  /** How often the file is read when the kernel tells of no change. */
  readonly delayMs: number;
  readonly mode: GateMode;
  /** Where the kernel shows the alias of the pod's `lo`. */
  readonly markFile: string;
}

/** A flag of `init` for the documents; also the variable of its name, upper-cased with `_`. */
export interface GateFlag {
  readonly name: string;
  readonly env: string;
  readonly placeholder: string;
  readonly brief: string;
  /** The raw default; empty where the brief says what happens then. */
  readonly fallback: string;
}

/** A table of its own and not of config/: a pod's start waits for this code, so it loads as little as it can. */
export const GATE_FLAGS = {
  file: flag({
    name: 'file',
    placeholder: 'PATH',
    brief: "File of a downwardAPI volume with the pod's annotations, or with the one annotation",
    fallback: '/etc/podinfo/pod_annotations',
    parse: absolutePath,
  }),
  annotationKey: flag({
    name: 'annotation-key',
    placeholder: 'KEY',
    brief: 'Annotation by which the agent reports',
    fallback: 'pod-network-controller.istio.io/status',
    parse: annotationName,
  }),
  annotationValue: flag({
    name: 'annotation-value',
    placeholder: 'VALUE',
    brief: 'Value that the annotation must have',
    fallback: 'initialized',
    parse: notEmpty,
  }),
  timeoutMs: flag({
    name: 'timeout',
    placeholder: 'SECONDS',
    brief: 'Gives up after this time with exit code 124; the pod then starts the gate again',
    fallback: '300',
    parse: seconds({ max: 86_400 }),
  }),
  delayMs: flag({
    name: 'delay',
    placeholder: 'SECONDS',
    brief: 'Reads the file this often even when the kernel tells of no change (some sandboxed runtimes never do)',
    fallback: '1',
    parse: seconds({ max: 3_600 }),
  }),
  mode: flag({
    name: 'gate',
    placeholder: 'WHAT',
    brief: 'mark, annotation or both; empty: both if the file is mounted, else mark',
    fallback: '',
    parse: modeOrEmpty,
  }),
  markFile: flag({
    name: 'mark-file',
    placeholder: 'PATH',
    brief: "Where the kernel shows the alias of the pod's lo; for tests",
    fallback: '/sys/class/net/lo/ifalias',
    parse: absolutePath,
  }),
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the command line of `init`; `undefined`: help was asked for. What follows `--` is the `istio-iptables` command line of the
 * container the gate replaced: the agent reads it from the pod's spec, the gate passes over it.
 * Throws `Usage` naming the flag or variable, the value and what is allowed. An empty variable counts as unset.
 * @param argv what follows `init`.
 * @param isMounted tells whether a file exists; kubelet mounts volumes before the first container starts.
 */
export function parseGateOptions(
  argv: readonly string[],
  env: Environment,
  isMounted: (path: string) => boolean,
): GateOptions | undefined {
  const given = readFlags(argv);
  if (given.help === true) return undefined;
  const value = <T>(spec: Flag<T>): T => resolve(spec, given[spec.name], env);
  const file = value(GATE_FLAGS.file);
  return {
    file,
    annotationKey: value(GATE_FLAGS.annotationKey),
    annotationValue: value(GATE_FLAGS.annotationValue),
    timeoutMs: value(GATE_FLAGS.timeoutMs),
    delayMs: value(GATE_FLAGS.delayMs),
    mode: value(GATE_FLAGS.mode) ?? (isMounted(file) ? 'both' : 'mark'),
    markFile: value(GATE_FLAGS.markFile),
  };
}

/** The text of `init --help`. */
export function gateHelp(): string {
  const rows = Object.values(GATE_FLAGS).map(({ name, placeholder, brief, fallback, env }) => {
    const otherwise = fallback === '' ? env : `default ${fallback}; ${env}`;
    return `  ${`--${name} ${placeholder}`.padEnd(26)}${brief} (${otherwise})`;
  });
  return [
    'usage: istio-pod-network-controller init [FLAGS] [-- ISTIO-IPTABLES-ARGUMENTS]',
    '',
    'The gate: waits in the pod until its traffic is captured. Each flag is also the variable named behind it; the flag wins.',
    'Exit codes: 0 passed, 1 usage, 124 timed out.',
    '',
    ...rows,
  ].join('\n');
}

interface Flag<T> extends GateFlag {
  /** Throws an Error that says what is allowed. */
  readonly parse: (raw: string) => T;
}

function flag<T>(spec: Omit<Flag<T>, 'env'>): Flag<T> {
  return { ...spec, env: spec.name.toUpperCase().replaceAll('-', '_') };
}

function readFlags(argv: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const end = argv.indexOf('--');
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const { name } of Object.values(GATE_FLAGS)) options[name] = { type: 'string' };
  try {
    return parseArgs({ args: argv.slice(0, end < 0 ? undefined : end), options, allowPositionals: false }).values;
  } catch (error: unknown) {
    throw new ControllerError('Usage', `init: ${messageOf(error).split('\n')[0] ?? ''}`, {
      hint: `Flags of init: ${Object.keys(options)
        .map((name) => `--${name}`)
        .join(', ')}; what belongs to istio-iptables follows "--".`,
      cause: error,
    });
  }
}

function resolve<T>(spec: Flag<T>, given: string | boolean | undefined, env: Environment): T {
  if (typeof given === 'string') return parse(spec, given, `--${spec.name}`);
  const variable = env[spec.env];
  if (variable !== undefined && variable !== '') return parse(spec, variable, `environment variable ${spec.env}`);
  return spec.parse(spec.fallback);
}

function parse<T>(spec: Flag<T>, raw: string, where: string): T {
  try {
    return spec.parse(raw);
  } catch (error: unknown) {
    throw new ControllerError('Usage', `${where}: ${JSON.stringify(raw)} is not allowed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function seconds(bounds: { readonly max: number }): (raw: string) => number {
  return (raw) => {
    const value = /^[1-9][0-9]{0,5}$/.test(raw) ? Number(raw) : Number.NaN;
    if (!(value <= bounds.max)) throw new Error(`a whole number of seconds from 1 to ${bounds.max}`);
    return value * 1000;
  };
}

function modeOrEmpty(raw: string): GateMode | undefined {
  if (raw === '' || raw === 'mark' || raw === 'annotation' || raw === 'both') return raw === '' ? undefined : raw;
  throw new Error('mark, annotation or both');
}

function absolutePath(raw: string): string {
  if (raw.startsWith('/') && !raw.split('/').includes('..') && !raw.includes('\0') && raw.length <= 4096) return raw;
  throw new Error('an absolute path without ".."');
}

/** A qualified name as the API allows it for annotations. */
function annotationName(raw: string): string {
  if (/^([a-z0-9][a-z0-9.-]{0,252}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(raw)) return raw;
  throw new Error('the name of an annotation: PREFIX/NAME or NAME');
}

function notEmpty(raw: string): string {
  if (raw !== '') return raw;
  throw new Error('any text but an empty one');
}
