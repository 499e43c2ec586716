import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { apiserver } from './control-plane.ts';
import { ensureDaemon, stopDaemon } from './daemon.ts';
import { containerd } from './node-daemons.ts';
import { lab } from './paths.ts';

/** What tests and benchmarks use of a running lab; everything else of it is its own business. */
export { readEscapes, type EscapeCounters } from './guard.ts';
export { loadImage } from './images.ts';
export { apply, kubectl, waitAvailable } from './kubectl.ts';
export { containerdSocket, lab, network, nriSocket } from './paths.ts';

/** Ends the API server; kubelet, containerd and the pods live on. */
export async function stopApiserver(): Promise<void> {
  await stopDaemon('kube-apiserver', { graceMs: 2_000 });
}

/** Starts it again; returns when it is ready. */
export async function startApiserver(): Promise<void> {
  await ensureDaemon(apiserver(partsFolder()));
}

/** Ends containerd; shims and pods live on. */
export async function stopContainerd(): Promise<void> {
  await stopDaemon('containerd', { graceMs: 5_000 });
}

/** Starts it again; returns when it answers. */
export async function startContainerd(): Promise<void> {
  await ensureDaemon(containerd(partsFolder()));
}

/** The folder behind .lab/bin, which outlives the checkout. */
function partsFolder(): string {
  return dirname(realpathSync(join(lab.bin, 'kubelet')));
}
