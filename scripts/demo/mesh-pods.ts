import * as v from 'valibot';
import { claim, table, title } from '../presentation.ts';
import { shortName } from './bookinfo.ts';
import { tryKubectl } from './kubectl.ts';
import { containersOf, type DemoContainer, type DemoPod, NAMES, secondsToReady } from './pods.ts';
import { type LiveProcess, processesOf } from './processes.ts';

/** One row for each mesh pod: how it got through the gate, and what the agent reports. */
export async function showPods(pods: readonly DemoPod[]): Promise<void> {
  title('The pods');
  const rows = await Promise.all(pods.map(describe));
  const head = ['pod', 'status', 'policy', 'captured in', 'gate', 'gate passed after', 'ready after'];
  table([head, ...rows.map(({ cells }) => cells).toSorted(([a = ''], [b = '']) => a.localeCompare(b))]);
  const wrong = rows.find(({ whole }) => !whole);
  claim('each pod is captured, and its gate has let go', wrong === undefined, wrong?.cells.join(' ') ?? '');
}

const CAPTURE = v.object({ policy: v.string(), ms: v.number() });

async function describe(pod: DemoPod): Promise<{ cells: readonly string[]; whole: boolean }> {
  const { annotations, name } = pod.metadata;
  const status = annotations[NAMES.status] ?? 'none';
  const capture = v.safeParse(v.pipe(v.string(), v.parseJson(), CAPTURE), annotations[NAMES.capture]);
  const gate = pod.status.initContainerStatuses?.find((container) => container.name === NAMES.gate);
  const exit = gate?.state.terminated?.exitCode;
  const log = await tryKubectl(['logs', '-n', NAMES.namespace, name, '-c', NAMES.gate]);
  const cells = [
    shortName(pod),
    status,
    capture.success ? capture.output.policy : '?',
    capture.success ? `${capture.output.ms.toFixed(1)} ms` : '?',
    exit === undefined ? 'not ended' : `exit ${exit}`,
    /passed after (\d+ ms)/.exec(log.stdout)?.[1] ?? '?',
    `${secondsToReady(pod) ?? '?'} s`,
  ];
  return { cells, whole: status === 'initialized' && capture.success && exit === 0 };
}

/** No container of a mesh pod adds a capability, runs as root or may escalate: by the manifests, and by what runs. */
export function showPodPrivileges(pods: readonly DemoPod[]): void {
  title('The privileges of the mesh pods: none');
  const problems = pods.flatMap((pod) =>
    containersOf(pod).flatMap((container) =>
      privilegesOf(pod, container).map((what) => `${pod.metadata.name}/${container.name}: ${what}`),
    ),
  );
  const containers = pods.flatMap(containersOf).length;
  claim(
    `none of ${containers} containers in ${pods.length} pods adds a capability, runs as root or may escalate`,
    problems.length === 0,
    problems.join('\n'),
  );
  const processes = pods.flatMap((pod) => processesOf(pod.metadata.uid));
  const privileged = processes.filter(isPrivileged);
  claim(
    `none of their ${processes.length} processes runs as root or holds a capability (/proc: Uid, CapEff)`,
    processes.length >= containers - pods.length && privileged.length === 0,
    privileged.map(({ pid, command, uid, capEff }) => `pid ${pid} ${command}: uid ${uid}, CapEff ${capEff}`).join('\n'),
  );
}

/** What speaks against a container: each way in which its manifest gives it more than nothing. */
export function privilegesOf(pod: DemoPod, { securityContext: own }: DemoContainer): readonly string[] {
  const inherited = pod.spec.securityContext;
  const uid = own?.runAsUser ?? inherited?.runAsUser;
  const nonRoot = own?.runAsNonRoot ?? inherited?.runAsNonRoot;
  const added = own?.capabilities?.add ?? [];
  return [
    ...(added.length > 0 ? [`adds ${added.join(', ')}`] : []),
    ...(uid === 0 || (uid === undefined && nonRoot !== true) ? ['may run as root'] : []),
    ...(own?.allowPrivilegeEscalation === false ? [] : ['may escalate']),
    ...(own?.privileged === true ? ['is privileged'] : []),
  ];
}

function isPrivileged({ uid, capEff }: LiveProcess): boolean {
  return uid === 0 || !/^0+$/.test(capEff);
}
