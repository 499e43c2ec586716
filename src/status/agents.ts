import * as v from 'valibot';
import { plainText } from './plain-text.ts';

/** One pod of the agent. */
export interface AgentPod {
  readonly node: string;
  readonly ready: boolean;
  /** Why it is not ready, if kubelet says. */
  readonly trouble: string;
  /** Command line and literal environment: they decide about pods. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The agents of a cluster; `unknown` where they may not be read. */
export type Agents = ReadonlyMap<string, AgentPod> | 'unknown';

const texts = v.nullish(v.array(v.string()), []);
const StateShape = v.object({
  name: v.string(),
  state: v.nullish(v.object({ waiting: v.nullish(v.object({ reason: v.nullish(v.string(), '') })) })),
});
const AgentShape = v.object({
  spec: v.object({
    nodeName: v.nullish(v.string(), ''),
    containers: v.array(
      v.object({
        name: v.string(),
        args: texts,
        env: v.nullish(v.array(v.object({ name: v.string(), value: v.nullish(v.string()) })), []),
      }),
    ),
  }),
  status: v.nullish(
    v.object({
      conditions: v.nullish(v.array(v.object({ type: v.string(), status: v.string() })), []),
      containerStatuses: v.nullish(v.array(StateShape), []),
    }),
  ),
});

/** A pod of the agent's namespace → the agent, or undefined for one that is another part of the product. */
export function parseAgent(object: unknown): AgentPod | undefined {
  const parsed = v.safeParse(AgentShape, object);
  if (!parsed.success) return undefined;
  const { spec, status } = parsed.output;
  const container = spec.containers.find(({ args }) => args?.[0] === 'run');
  if (container === undefined || spec.nodeName === '') return undefined;
  const waiting = status?.containerStatuses
    .map(({ state }) => state?.waiting?.reason ?? '')
    .find((reason) => reason !== '');
  return {
    node: spec.nodeName,
    ready: (status?.conditions ?? []).some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    trouble: plainText(waiting ?? ''),
    args: container.args,
    env: Object.fromEntries(
      container.env.flatMap(({ name, value }) => (typeof value === 'string' ? [[name, value]] : [])),
    ),
  };
}

/** Agents by node; while one is replaced there are two, and the ready one counts. */
export function agentsByNode(agents: readonly AgentPod[]): ReadonlyMap<string, AgentPod> {
  const byNode = new Map<string, AgentPod>();
  for (const agent of agents) if (byNode.get(agent.node)?.ready !== true) byNode.set(agent.node, agent);
  return byNode;
}

/** The flags an agent was started with, by name: `--enroll=injected` and `--enroll injected`. */
export function flagsOf({ args }: Pick<AgentPod, 'args'>): Readonly<Record<string, string>> {
  const flags: Record<string, string> = {};
  args.forEach((word, index) => {
    const [, name, value] = /^--([a-z0-9-]+)(?:=([^]*))?$/.exec(word) ?? [];
    if (name === undefined) return;
    const next = args[index + 1];
    if (value !== undefined) flags[name] = value;
    else if (next !== undefined && !next.startsWith('--')) flags[name] = next;
  });
  return flags;
}
