import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, agentAway, agentMayReturn, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, processStatus, requireSandbox, runningContainers } from '../support/cluster-host.ts';
import {
  CAPABILITIES,
  type Capability,
  createAgentWith,
  deleteAgent,
  isReady,
  mountsOf,
  saidBy,
  seccompOf,
} from '../support/cluster-policy-capabilities.ts';
import { appPod, createPods, getPod, stateOf, waitReady, waitStarted } from '../support/cluster-pods.ts';
import { at, createNamespace, deleteNamespaces, GATE, listAt, MESH, textAt, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-capabilities';
/** Where Kubernetes mounts the token of a pod's ServiceAccount, unless the pod says automountServiceAccountToken: false. */
const POD_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What is missing in each, and what the agent says about it. */
const CRIPPLED: readonly { name: string; has: Capability; lacks: Capability }[] = [
  { name: 'pnc-test-no-net-admin', has: 'SYS_ADMIN', lacks: 'NET_ADMIN' },
  { name: 'pnc-test-no-sys-admin', has: 'NET_ADMIN', lacks: 'SYS_ADMIN' },
];

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await agentAway();
  await createPods(NAMESPACE, [appPod('waiting')]);
  await waitStarted(NAMESPACE, 'waiting', GATE);
});
afterAll(async () => {
  await agentMayReturn();
  for (const { name } of CRIPPLED) await deleteAgent(name);
  await deleteNamespaces([NAMESPACE]);
});

describe.each(CRIPPLED)('an agent without $lacks', ({ name, has, lacks }) => {
  beforeAll(() => createAgentWith(name, [has]));
  afterAll(() => deleteAgent(name));

  it('says what it lacks', async () => {
    const said = await waitFor('the agent complains', () => complaint(name, lacks), {
      timeoutMs: 60_000,
      intervalMs: 500,
    });
    process.stdout.write(`without ${lacks}: ${said}\n`);
    expect(said).toMatch(/NotPermitted/);
  });

  it('does not become Ready', async () => {
    // Two of kubelet's readiness probes (5 s apart) and what it takes to tell of them.
    const becameReady = waitFor('it is Ready', () => isReady(name), { timeoutMs: 15_000, intervalMs: 500 });
    await expect(becameReady).rejects.toThrow('not within 15 s');
  });

  it('captures nothing, and lets nothing through', async () => {
    const pod = await getPod(NAMESPACE, 'waiting');
    const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
    expect(await capturedState(netnsPath)).toEqual({ table: '', mark: '' });
    expect(stateOf(pod, GATE)).toBe('running');
    expect(stateOf(pod, 'app')).toBe('waiting');
  });
});

describe('the gate while it waits', () => {
  it('has no capability, is nobody, and asks for no token', async () => {
    const pod = await getPod(NAMESPACE, 'waiting');
    const gate = (await runningContainers(textAt(pod, 'metadata', 'uid'))).find((container) => container.name === GATE);
    const pid = gate?.pid ?? 0;
    expect(processStatus(pid)).toMatchObject({
      capEffective: 0n,
      capPermitted: 0n,
      capBounding: 0n,
      noNewPrivileges: true,
    });
    expect(processStatus(pid).uids).not.toContain(0);
    expect(seccompOf(pid)).toBe('2');
    expect(mountsOf(pid).find(({ path }) => path === '/')?.readOnly).toBe(true);
    // Where a webhook put it there, Kubernetes itself mounts the pod's own token as in every container; nothing else is.
    const spec = listAt(pod, 'spec', 'initContainers').find((container) => at(container, 'name') === GATE);
    const mounted = listAt(spec, 'volumeMounts').map((mount) => textAt(mount, 'mountPath'));
    expect(mounted.filter((path) => path !== POD_TOKEN)).toEqual([]);
    expect(mountsOf(pid).filter(({ path }) => path.includes('secrets') && path !== POD_TOKEN)).toEqual([]);
  });
});

describe('the agent of the chart', () => {
  let agent: Agent;
  beforeAll(async () => {
    await agentMayReturn();
    agent = await readyAgent();
  });

  it('captures the pod that waited', async () => {
    await waitReady(NAMESPACE, ['waiting']);
    const { netnsPath } = await requireSandbox(textAt(await getPod(NAMESPACE, 'waiting'), 'metadata', 'uid'));
    expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
  });

  it('holds SYS_ADMIN and NET_ADMIN, cannot get another, and is filtered', () => {
    const both = CAPABILITIES.SYS_ADMIN | CAPABILITIES.NET_ADMIN;
    expect(processStatus(agent.pid)).toMatchObject({ capEffective: both, capPermitted: both, capBounding: both });
    expect(seccompOf(agent.pid)).toBe('2');
  });

  it('cannot write to its root, and sees of the node three directories only', () => {
    const mounts = mountsOf(agent.pid);
    expect(mounts.find(({ path }) => path === '/')?.readOnly).toBe(true);
    const ordinary = /^\/($|proc|sys|dev|etc\/(hosts|hostname|resolv\.conf)$|var\/run\/secrets|run\/secrets)/;
    const ofNode = new Set(
      mounts
        .map(({ path }) => path)
        .filter((path) => !ordinary.test(path))
        .map(topOf),
    );
    expect([...ofNode].sort()).toEqual(['/run/containerd', '/var/run/netns', '/var/run/nri']);
  });
});

/** Below these directories the node mounts and unmounts as it likes. */
function topOf(path: string): string {
  return ['/run/containerd', '/var/run/netns'].find((top) => path === top || path.startsWith(`${top}/`)) ?? path;
}

/** A crash is told in several lines, the way out in the last of them; the failure of a pod in one. */
async function complaint(name: string, lacks: Capability): Promise<string | undefined> {
  const lines = (await saidBy(name)).split('\n');
  const hint = lines.findIndex((text) => text.includes(`CAP_${lacks}`));
  const line = lines[hint];
  return line === undefined || line.includes('NotPermitted') ? line : `${lines[hint - 1] ?? ''}\n${line}`;
}
