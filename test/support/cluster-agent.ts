import { at, kubectl, kubectlJson, listAt, textAt, waitFor } from './cluster.ts';
import { AGENT_NAMESPACE, logOf } from './cluster-pods.ts';
import { runningContainers } from './cluster-host.ts';

const DAEMON_SET = 'daemonset/istio-pod-network-controller';
const SELECTOR = 'app.kubernetes.io/name=istio-pod-network-controller';
const NOWHERE = 'cluster-test/no-such-node';
const METRIC_PREFIX = 'istio_pod_network_controller_';

/** One agent pod. */
export interface Agent {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  /** Of the agent's process, seen from the host. */
  readonly pid: number;
}

/** The agent, once it is Ready (it has reconciled everything once). */
export async function readyAgent(): Promise<Agent> {
  return waitFor('the agent is Ready', findReady, { timeoutMs: 90_000, intervalMs: 250 });
}

/** Ready, and called by the runtime: an agent is Ready without the runtime's hooks, too. */
export async function connectedAgent({ timeoutMs = 90_000 } = {}): Promise<Agent> {
  return waitFor(
    'the runtime calls the agent',
    async () => {
      const agent = await readyAgent();
      return (await metricsOf(agent)).sum('nri_connected') === 1 && agent;
    },
    { timeoutMs },
  );
}

async function findReady(): Promise<Agent | undefined> {
  const pods = listAt(await kubectlJson(['get', 'pods', '-n', AGENT_NAMESPACE, '-l', SELECTOR]), 'items');
  const pod = pods.find((candidate) => at(candidate, 'metadata', 'deletionTimestamp') === undefined);
  const ready = listAt(pod, 'status', 'conditions').find((condition) => at(condition, 'type') === 'Ready');
  if (at(ready, 'status') !== 'True') return undefined;
  const uid = textAt(pod, 'metadata', 'uid');
  const process = (await runningContainers(uid)).find(({ name }) => name === 'agent');
  if (process === undefined) return undefined;
  return { name: textAt(pod, 'metadata', 'name'), uid, ip: textAt(pod, 'status', 'podIP'), pid: process.pid };
}

/** Takes the agent from the node, as a drained or broken DaemonSet would be; returns when its last pod is gone. */
export async function agentAway(): Promise<void> {
  await patchSelector('nowhere');
  await kubectl(['wait', '-n', AGENT_NAMESPACE, '--for=delete', '--timeout=60s', 'pod', '-l', SELECTOR]);
}

/** Lets the agent on the node again; does not wait. */
export async function agentMayReturn(): Promise<void> {
  await patchSelector(null);
}

async function patchSelector(value: string | null): Promise<void> {
  const patch = { spec: { template: { spec: { nodeSelector: { [NOWHERE]: value } } } } };
  await kubectl(['patch', '-n', AGENT_NAMESPACE, DAEMON_SET, '--type=merge', '-p', JSON.stringify(patch)]);
}

/** Ends the agent's pod; returns the new one once it is Ready. */
export async function restartAgent(): Promise<Agent> {
  const before = await readyAgent();
  await kubectl(['delete', 'pod', '-n', AGENT_NAMESPACE, before.name, '--timeout=60s']);
  return readyAgent();
}

/** One line of the agent's log. */
export interface AgentLogLine {
  /** Wall clock of the node, by the container runtime. */
  readonly timeMs: number;
  readonly message: string;
  readonly fields: unknown;
}

/** The whole log of the agent's current container. */
export async function agentLog(agent: Agent): Promise<readonly AgentLogLine[]> {
  const lines = await logOf(AGENT_NAMESPACE, agent.name, 'agent');
  return lines.map(({ timeMs, text }) => {
    const fields = parse(text);
    return { timeMs, message: textAt(fields, 'msg') || textAt(fields, 'message') || text, fields };
  });
}

/** The lines about one pod (`namespace/name`) with that message. */
export function linesAbout(log: readonly AgentLogLine[], message: string, pod: string): readonly AgentLogLine[] {
  return log.filter((line) => line.message === message && at(line.fields, 'pod') === pod);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** The agent's metrics at one moment. */
export interface Metrics {
  /** Sum of all series of a metric (named without its prefix) whose labels include these. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** The series of a metric, as text, for people. */
  lines(name: string): readonly string[];
}

/** Reads /metrics as Prometheus would, over the pod's address. */
export async function metricsOf(agent: Agent): Promise<Metrics> {
  const response = await fetch(`http://${agent.ip}:15014/metrics`, { signal: AbortSignal.timeout(10_000) });
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith(METRIC_PREFIX));
  const series = (name: string) => lines.filter((line) => /^[^{ ]*/.exec(line)?.[0] === METRIC_PREFIX + name);
  return {
    sum: (name, labels = {}) => {
      const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
      const matching = series(name).filter((line) => wanted.every((label) => line.includes(label)));
      return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    lines: series,
  };
}
