import { readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, messageOf } from '../errors.ts';
import { parseMark } from '../netns/mark-text.ts';
import { type AnnotationReading, readAnnotation } from './annotation-file.ts';
import type { GateOptions } from './gate-options.ts';
import type { MarkReading } from './observation.ts';
import type { GateEffects } from './wait.ts';

/** A pod's annotations are at most 256 KiB in the API; quoting can make six bytes of one. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** The real world of the gate: sysfs, the mounted file, the clock. `stop` makes the wait end. */
export function createGateEffects(options: GateOptions, print: (line: string) => void): GateEffects & { stop(): void } {
  let stopped = false;
  let endSleep: (() => void) | undefined;
  const wake = () => endSleep?.();
  return {
    // Not performance.now(), which would load eight modules of Node first.
    nowMs: () => process.uptime() * 1_000,
    sleep: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        endSleep = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    wake,
    readMark: () => readMark(options.markFile),
    readAnnotation: () => readAnnotationFile(options),
    watch: (onChange) => watchFolder(dirname(options.file), onChange),
    isStopped: () => stopped,
    stop: () => {
      stopped = true;
      wake();
    },
    print,
  };
}

function readMark(path: string): MarkReading {
  try {
    return parseMark(readFileSync(path, 'utf8'));
  } catch (error: unknown) {
    return { kind: 'unreadable', why: whyUnreadable(error) };
  }
}

/** Opened by path each time: kubelet replaces the file by swapping the `..data` link above it. */
function readAnnotationFile(options: GateOptions): AnnotationReading {
  try {
    const { size } = statSync(options.file);
    if (size > FILE_BYTES_MAX) return { kind: 'unreadable', why: `${size} bytes, at most ${FILE_BYTES_MAX}` };
    return readAnnotation(readFileSync(options.file, 'utf8'), options.annotationKey);
  } catch (error: unknown) {
    return { kind: 'unreadable', why: whyUnreadable(error) };
  }
}

function whyUnreadable(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === 'ENOENT') return 'does not exist (is the volume mounted?)';
  if (errno === 'EACCES') return 'permission denied';
  return errno ?? messageOf(error);
}

/** The folder and not the file: a subscription to the file would stay with the old one. Without inotify the slow reads remain. */
function watchFolder(folder: string, onChange: () => void): () => void {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => {};
  }
}
