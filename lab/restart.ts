import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { apiserver } from './control-plane.ts';
import { ensureDaemon, runningDaemon, stopDaemon, type Daemon } from './daemon.ts';
import { kubectl } from './kubectl.ts';
import { LabError } from './lab-error.ts';
import { containerd, kubelet } from './node-daemons.ts';
import { readOwner } from './owner.ts';
import { lab, network } from './paths.ts';
import { poll } from './poll.ts';

/** What can be taken away from a running lab; pods and their shims live on in every case. */
export const RESTARTABLE = ['kube-apiserver', 'containerd', 'kubelet'] as const;
export type Restartable = (typeof RESTARTABLE)[number];

/** How a process is ended. */
export interface StopOptions {
  /** SIGKILL at once, as a crash would. Without it: SIGTERM, and SIGKILL after `GRACE_MS`. */
  readonly kill?: boolean;
}

// An API server with open watches does not end by itself in this time.
const GRACE_MS = 2_000;

/** Ends one process of the lab; returns when it is gone. Does nothing if it does not run. */
export async function stopProcess(name: Restartable, options: StopOptions = {}): Promise<void> {
  await stopDaemon(name, { graceMs: options.kill === true ? 0 : GRACE_MS });
}

/** Starts it unless it runs; returns when it does its work again: kubelet when the node is Ready by a heartbeat of the new process. */
export async function startProcess(name: Restartable): Promise<void> {
  const sinceMs = Date.now();
  const started = await ensureDaemon(daemonOf(name));
  if (started && name === 'kubelet' && runningDaemon('kube-apiserver') !== undefined) await nodeReadySince(sinceMs);
}

/** `stopProcess`, then `startProcess`. Throws LabError if the lab is not up. */
export async function restartProcess(name: Restartable, options: StopOptions = {}): Promise<void> {
  if (runningDaemon(name) === undefined)
    throw new LabError(`restart: ${name} does not run`, { hint: 'Start what of the lab does not run: make lab-up' });
  await stopProcess(name, options);
  await startProcess(name);
}

/** True if this is the name of something that can be restarted. */
export function isRestartable(name: string): name is Restartable {
  return RESTARTABLE.some((known) => known === name);
}

function daemonOf(name: Restartable): Daemon {
  // The folder behind .lab/bin, which outlives the checkout.
  const bin = dirname(realpathSync(join(lab.bin, name)));
  switch (name) {
    case 'kube-apiserver':
      return apiserver(bin);
    case 'containerd':
      if (readOwner()?.runtime === 'docker') throw new LabError("restart: the lab's containerd is Docker's own child");
      return containerd(bin);
    case 'kubelet':
      return kubelet(bin);
  }
}

async function nodeReadySince(sinceMs: number): Promise<void> {
  const path =
    '{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}';
  const look = async () => {
    const [status, heartbeat = ''] = (await kubectl(['get', 'node', network.nodeName, '-o', `jsonpath=${path}`])).split(
      ' ',
    );
    // Kubernetes keeps whole seconds.
    return status === 'True' && Date.parse(heartbeat) >= sinceMs - 1_000;
  };
  await poll(look, { what: 'the node is Ready again', timeoutMs: 60_000, intervalMs: 200 });
}
