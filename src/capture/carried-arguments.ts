import * as v from 'valibot';
import { requiresPlugin } from '../enrollment/required-plugins.ts';
import type { EnvironmentVariable, Pod } from '../pod/pod.ts';
import { TEXT_CHARACTERS_MAX } from './parsed.ts';
import type { Problem } from './policy.ts';

/** Where a pod without a gate carries what Istio's injector resolved for it, written by what took Istio's init container out. */
export const ARGUMENTS_ANNOTATION = 'pod-network-controller.istio.io/istio-arguments';

/** The arguments and variables of the init container that was taken out; arguments without the leading `istio-iptables`. */
export interface CarriedArguments {
  readonly argv: readonly string[];
  readonly env: readonly EnvironmentVariable[];
}

const TOOL = 'istio-iptables';
const ALLOWED = `{"args":["${TOOL}",…],"env":[{"name":…,"value":…},…]} as the gate's carrier writes it, at most ${TEXT_CHARACTERS_MAX} characters`;

const Shape = v.strictObject({
  args: v.array(v.string()),
  // Without a value: it came from elsewhere (`valueFrom`), and cannot be known.
  env: v.array(v.strictObject({ name: v.string(), value: v.optional(v.string()) })),
});

/**
 * What the annotation carries; undefined: there is none, or Istio gave its container no arguments of the tool. What cannot be read is a problem:
 * passing over it would give the pod other rules than Istio meant.
 */
export function carriedArguments(pod: Pod): CarriedArguments | Problem | undefined {
  const raw = pod.annotations[ARGUMENTS_ANNOTATION];
  // In a pod that nothing says was made without a gate, it is left from elsewhere.
  if (raw === undefined || !requiresPlugin(pod.annotations)) return undefined;
  const problem: Problem = {
    key: ARGUMENTS_ANNOTATION,
    value: raw.slice(0, TEXT_CHARACTERS_MAX),
    allowed: ALLOWED,
    source: 'argument',
  };
  const parsed = v.safeParse(Shape, raw.length > TEXT_CHARACTERS_MAX ? undefined : json(raw));
  // One way to write it, the carrier's: a policy that looks for words in the text must find what is read here, whatever escapes there are.
  if (!parsed.success || JSON.stringify(parsed.output) !== raw) return problem;
  const [tool, ...argv] = parsed.output.args;
  // As with a gate: what stands after its `--` counts only if it is the tool's command line.
  if (tool !== TOOL) return undefined;
  return { argv, env: parsed.output.env.map(({ name, value }) => ({ name, value })) };
}

function json(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}
