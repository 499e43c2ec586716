import { command } from '../../lab/command.ts';
import { claim, note, output, title, watched } from '../presentation.ts';
import { kubectl, showKubectl, showShell, tryKubectlJson } from './kubectl.ts';
import { listPods, NAMES } from './pods.ts';
import { type LiveProcess, processesOf } from './processes.ts';

const { product } = NAMES;
const INSTALL = `helm template -n ${product} ./chart/${product} | kubectl apply -f -`;
const SELECTOR = `app.kubernetes.io/name=${product}`;
const ALL = `app.kubernetes.io/name in (${product},${product}-webhook)`;
const DAEMON_SET = ['-n', product, `daemonset/${product}`] as const;
// What `helm template` takes for every cluster puts the gate into pods: no mesh pod is admitted before it is ready.
const WEBHOOK = ['-n', product, `deployment/${product}-webhook`] as const;
/** CAP_NET_ADMIN (bit 12) and CAP_SYS_ADMIN (bit 21), linux/capability.h. */
const AGENT_CAPABILITIES = 0x201000n;

/** Installs the chart with the README's command; returns when the agent is ready and runs the image of `archive`. */
export async function installChart(archive: string): Promise<void> {
  title('Our chart, by the command of the README');
  const before = await tryKubectlJson(['get', ...DAEMON_SET]);
  await showShell(INSTALL);
  await rolledOut();
  if (before !== undefined && !(await runs(await imageIdOf(archive)))) {
    note('The agent and the webhook of an earlier run have an older image of the same name: they are restarted.');
    for (const workload of [DAEMON_SET, WEBHOOK]) await kubectl(['rollout', 'restart', ...workload]);
    await rolledOut();
  }
  await showKubectl(['get', 'pods', '-n', product, '-o', 'wide']);
}

async function rolledOut(): Promise<void> {
  for (const [name, workload] of [
    ['DaemonSet', DAEMON_SET],
    ['webhook', WEBHOOK],
  ] as const) {
    const status = kubectl(['rollout', 'status', ...workload, '--timeout=180s']);
    await watched(`the ${name} becomes ready`, status.then(output));
  }
}

/** The agent's privileges as the kernel has them, not as the manifest says. */
export async function showAgentPrivileges(): Promise<void> {
  title("The agent's privileges, from /proc of its process");
  const [pod] = await listPods(product, SELECTOR);
  const agent = pod === undefined ? undefined : processesOf(pod.metadata.uid).find(isAgent);
  if (agent === undefined) throw new Error(`no process of the agent's pod ${pod?.metadata.name ?? ''} was found`);
  output(`pid ${agent.pid}: ${agent.command}\nUid ${agent.uid}  CapEff ${agent.capEff}  CapBnd ${agent.capBnd}`);
  claim(
    'it holds SYS_ADMIN and NET_ADMIN (0x201000) and can never hold more',
    BigInt(`0x${agent.capEff}`) === AGENT_CAPABILITIES && BigInt(`0x${agent.capBnd}`) === AGENT_CAPABILITIES,
    `CapEff ${agent.capEff}, CapBnd ${agent.capBnd}`,
  );
}

function isAgent({ command: line }: LiveProcess): boolean {
  return line.includes(product) && / run( |$)/.test(line);
}

async function runs(imageId: string): Promise<boolean> {
  const pods = await listPods(product, ALL);
  return pods.every((pod) => pod.status.containerStatuses?.every(({ imageID }) => imageID.endsWith(imageId)));
}

/** The digest by which the runtime knows an image: of its configuration, which the archive's manifest names. */
async function imageIdOf(archive: string): Promise<string> {
  const manifest = digestIn(await fileIn(archive, 'index.json'), 'manifests');
  const blob = `blobs/${manifest.replace(':', '/')}`;
  return digestIn(await fileIn(archive, blob), 'config');
}

async function fileIn(archive: string, path: string): Promise<unknown> {
  return JSON.parse(await command(['tar', '--extract', '--to-stdout', '--file', archive, path]));
}

function digestIn(value: unknown, field: string): string {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined;
  const descriptor: unknown = Array.isArray(found) ? found[0] : found;
  const digest: unknown =
    typeof descriptor === 'object' && descriptor !== null ? Reflect.get(descriptor, 'digest') : '';
  if (typeof digest !== 'string' || digest === '') throw new Error(`an OCI archive without ${field}[].digest`);
  return digest;
}
