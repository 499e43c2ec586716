import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerdSocket } from '../../lab/paths.ts';
import { createCriRuntime } from '../../src/sandbox/cri/client.ts';
import { pickSandbox, type SandboxRuntime } from '../../src/sandbox/sandbox.ts';
import { type HostSandbox, requireSandbox } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import { at, createNamespace, deleteNamespaces, kubectl, listAt, textAt, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-cri-client';
let runtime: SandboxRuntime;
let pod: unknown;
let uid = '';
let known: HostSandbox;

beforeAll(async () => {
  runtime = createCriRuntime({ socketPath: containerdSocket });
  await createNamespace(NAMESPACE);
  const hostNetwork = appPod('host', { args: ['echo', '--listen', '127.0.0.1:19081'], spec: { hostNetwork: true } });
  await createPods(NAMESPACE, [appPod('subject'), hostNetwork]);
  await waitReady(NAMESPACE, ['subject', 'host']);
  pod = await getPod(NAMESPACE, 'subject');
  uid = textAt(pod, 'metadata', 'uid');
  known = await requireSandbox(uid);
});
afterAll(async () => {
  runtime.close();
  await deleteNamespaces([NAMESPACE]);
});

describe('our client against a real containerd', () => {
  it('says who answers', async () => {
    const { name, version } = await runtime.version();
    expect(name).toBe('containerd');
    expect(version).toMatch(/^2\./);
  });

  it('finds the sandbox of one pod, and among all of the node', async () => {
    const own = await runtime.listReady(uid);
    expect(own.map(({ id }) => id)).toEqual([known.id]);
    expect(own[0]).toMatchObject({ podUid: uid, podName: 'subject', podNamespace: NAMESPACE, attempt: 0, ready: true });
    const all = await runtime.listReady();
    expect(all.length).toBeGreaterThan(1);
    expect(pickSandbox(all, uid)?.id).toBe(known.id);
    expect(await runtime.listReady('00000000-0000-4000-8000-000000000000')).toEqual([]);
  });

  it('tells its netns, pid and addresses as the kernel and the API server do', async () => {
    const details = await runtime.details(known.id);
    const resolvConf = readFileSync(join('/proc', String(known.pid), 'root', 'etc', 'resolv.conf'), 'utf8');
    expect(details?.nameservers).toEqual([...resolvConf.matchAll(/^nameserver (\S+)$/gm)].map(([, server]) => server));
    expect(details?.nameservers).not.toEqual([]);
    expect(details).toMatchObject({ netnsPath: known.netnsPath, pid: known.pid, hostNetwork: false, ready: true });
    expect(details?.netnsPath).toMatch(/^\/var\/run\/netns\/|^\/run\/netns\//);
    expect(details?.ips).toEqual(listAt(pod, 'status', 'podIPs').map((entry) => at(entry, 'ip')));
    expect(details?.ips.length).toBe(2);
    expect(readlinkSync(`/proc/${known.pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
  });

  it('knows a pod that uses the network of the host', async () => {
    const [sandbox] = await runtime.listReady(textAt(await getPod(NAMESPACE, 'host'), 'metadata', 'uid'));
    const details = await runtime.details(sandbox?.id ?? '');
    expect(details).toMatchObject({ hostNetwork: true, ips: [] });
    expect(details?.netnsPath).toBeUndefined();
  });

  it('says so when a sandbox is not there, and when it is no longer', async () => {
    expect(await runtime.details('0'.repeat(64))).toBeUndefined();
    await kubectl(['delete', 'pod', '-n', NAMESPACE, 'subject', '--timeout=60s']);
    expect(await runtime.listReady(uid)).toEqual([]);
    const ended = async () => (await runtime.details(known.id))?.ready !== true;
    await waitFor('the sandbox is no longer ready', ended, { timeoutMs: 30_000 });
  });
});
