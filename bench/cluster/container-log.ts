import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { data } from '../../lab/paths.ts';
import type { StoredPod } from './api.ts';

/** One line that a container wrote. */
export interface ContainerLine {
  /** Wall clock at which the runtime took it from the container's pipe. */
  readonly takenAtMs: number;
  readonly text: string;
}

const LOOK_EVERY_MS = 25;

/**
 * The first line of a container's log, as soon as it is there. Read from the node's file: to ask the API server for it again and again
 * would load exactly those who start the pod.
 */
export async function firstLine(pod: StoredPod, container: string, timeoutMs: number): Promise<ContainerLine> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const line = readFirstLine(pod, container);
    if (line !== undefined) return line;
    if (performance.now() > deadlineMs) {
      throw new Error(`${pod.namespace}/${pod.name}: container ${container} wrote nothing in ${timeoutMs / 1000} s`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** When the program `dial` ran its first instruction, by its own clock, which is the node's and so ours. */
export async function firstInstructionAtMs(pod: StoredPod, container: string, timeoutMs: number): Promise<number> {
  const { text } = await firstLine(pod, container, timeoutMs);
  const atMs = Date.parse(/"firstAt":"([^"]+)"/.exec(text)?.[1] ?? '');
  if (Number.isNaN(atMs)) throw new Error(`${pod.namespace}/${pod.name}: not what dial prints: ${text.slice(0, 200)}`);
  return atMs;
}

/** CRI's log format: time, stream, F or P (a part of a line), text. */
function readFirstLine({ namespace, name, uid }: StoredPod, container: string): ContainerLine | undefined {
  const text = readOrEmpty(join(data.podLogs, `${namespace}_${name}_${uid}`, container, '0.log'));
  const [, time = '', line] = /^(\S+) std(?:out|err) F (.*)\n/.exec(text) ?? [];
  return line === undefined ? undefined : { takenAtMs: Date.parse(time), text: line };
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
