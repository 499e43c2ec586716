import { desiredFor, type DesiredOptions } from '../agent/desired.ts';
import { STATUS_ANNOTATION } from '../agent/report.ts';
import { flagKey, resolveFlags } from '../config/flag.ts';
import { POLICY_FLAGS } from '../config/flags.ts';
import { messageOf } from '../errors.ts';
import { requiresPlugin } from '../enrollment/required-plugins.ts';
import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import type { Namespace } from '../pod/pod.ts';
import { type AgentPod, type Agents, flagsOf } from '../status/agents.ts';
import type { StatusPod } from '../status/status-pod.ts';
import { isShown, type Judged, type StatusRow, statusRow } from '../status/status-row.ts';
import type { Given } from './given.ts';
import { desiredOptions } from './judge.ts';

/** What is known of the cluster beside the pods themselves. */
export interface Surroundings {
  /** Undefined for one that may not be read. */
  readonly namespace: (name: string) => Namespace | undefined;
  readonly agents: Agents;
  readonly options: DesiredOptions;
  /** Also pods that do not take part. */
  readonly all: boolean;
  readonly nowMs: number;
}

/** The row of a pod, or undefined for one that is not shown. */
export function rowOf(one: StatusPod, surroundings: Surroundings): StatusRow | undefined {
  const judged = judge(one, surroundings);
  if (!surroundings.all && !isShown(one, judged)) return undefined;
  return statusRow(one, judged, surroundings);
}

function judge(one: StatusPod, { namespace, options }: Surroundings): Judged {
  const { pod } = one;
  const desired = desiredFor(pod, namespace(pod.namespace) ?? presumedNamespace(one), options);
  return { decision: desired.decision, policy: desired.kind === 'capture' ? desired.policy : undefined };
}

/** Whoever may not read a Namespace still sees which of its pods take part: those have a gate, or a word of the agent. */
function presumedNamespace({ pod, gate }: StatusPod): Namespace {
  const takesPart =
    gate !== undefined || requiresPlugin(pod.annotations) || pod.annotations[STATUS_ANNOTATION] !== undefined;
  return { name: pod.namespace, labels: {}, annotations: takesPart ? { [INITIALIZE_ANNOTATION]: 'true' } : {} };
}

interface Flags {
  readonly given: Given;
  readonly agents: Agents;
  readonly agentNamespace: string;
  readonly warn: (text: string) => void;
}

/** How the agents decide: by their own flags, where those can be read; what is given counts instead. Never throws for an agent's flags. */
export function optionsOf({ given, agents, agentNamespace, warn }: Flags): DesiredOptions {
  const [agent] = agents === 'unknown' ? [] : agents.values();
  if (agent !== undefined) {
    try {
      const own = { ...agentFlags(agent), ...given };
      return desiredOptions(resolveFlags(POLICY_FLAGS, own, agent.env), agentNamespace);
    } catch (error: unknown) {
      // Of another version, perhaps. What is given here is checked once more, and told, below.
      warn(`the agent's own flags are not understood: ${messageOf(error)}`);
    }
  }
  return desiredOptions(resolveFlags(POLICY_FLAGS, given, {}), agentNamespace);
}

function agentFlags(agent: AgentPod): Given {
  return Object.fromEntries(Object.entries(flagsOf(agent)).map(([name, value]) => [flagKey({ name }), value]));
}
