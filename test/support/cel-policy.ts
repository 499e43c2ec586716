import { Environment } from '@marcbachmann/cel-js';
import type { Expression } from '../../src/admission/expression.ts';
import type { GateSettings } from '../../src/admission/gate-pod.ts';
import { namedIn, toCel } from '../../src/admission/to-cel.ts';

/** What an admission policy sees. */
export interface PolicyInputs {
  readonly object: unknown;
  readonly oldObject?: unknown;
  readonly namespaceObject: unknown;
  readonly request: { readonly operation: 'CREATE' | 'UPDATE' };
}

const environment = new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true });
// Of Kubernetes' strings library, which this engine lacks.
environment.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
  text.replaceAll(from, () => to),
);

type Program = (context: object) => unknown;

/** Printing and parsing take most of the time, and properties evaluate the same expression a thousand times. */
const programs = new WeakMap<GateSettings, Map<Expression, Program>>();

function programOf(expression: Expression, settings: GateSettings): Program {
  const known = programs.get(settings) ?? new Map<Expression, Program>();
  programs.set(settings, known);
  const settingText = (name: string) => celValue(settings[name as keyof GateSettings]);
  const program: Program =
    known.get(expression) ?? environment.parse(toCel(expression, { settings: settingText, named: 'variable' }));
  known.set(expression, program);
  return program;
}

/**
 * Evaluates an expression as the API server would: rendered as CEL, its named parts as variables of the policy, which are computed when
 * they are first asked for. Throws what the CEL engine throws.
 */
export function evaluateCel(expression: Expression, settings: GateSettings, inputs: PolicyInputs): unknown {
  const variables = {};
  const context = { oldObject: null, ...Object(withIntegers(inputs)), variables };
  for (const { name, is } of namedIn([expression])) {
    let value: { readonly of: unknown } | undefined;
    const get = () => {
      value ??= { of: programOf(is, settings)(context) };
      return value.of;
    };
    Object.defineProperty(variables, name, { enumerable: true, get });
  }
  return withNumbers(programOf(expression, settings)(context));
}

/** As the chart's template `gate.cel.value` writes it. */
function celValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(celValue).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: dyn(${celValue(inner)})`);
  return `dyn({${fields.join(', ')}})`;
}

/** CEL's integers are BigInt in this engine; those of a pod are integers. */
function withIntegers(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(withIntegers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withIntegers(inner)]));
}

function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (value instanceof Map) return withNumbers(Object.fromEntries(value));
  if (typeof value !== 'object' || value === null) return value;
  // Null is absent, as in Kubernetes JSON.
  const present = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(present.map(([key, inner]) => [key, withNumbers(inner)]));
}
