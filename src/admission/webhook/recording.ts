import type { Log, LogFields } from '../../telemetry/log.ts';

/** A log for tests: lines as `level message {fields}`, and a way to wait for one. */
export interface RecordingLog extends Log {
  readonly lines: readonly string[];
  until(text: string): Promise<void>;
}

export function recordingLog(): RecordingLog {
  const lines: string[] = [];
  const waiting: { text: string; resolve: () => void }[] = [];
  const write = (level: string) => (message: string, fields?: LogFields) => {
    const line = `${level} ${message} ${JSON.stringify(fields ?? {})}`;
    lines.push(line);
    for (const one of waiting) if (line.includes(one.text)) one.resolve();
  };
  return {
    lines,
    until: (text) =>
      new Promise((resolve) => {
        if (lines.some((line) => line.includes(text))) resolve();
        else waiting.push({ text, resolve });
      }),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

export const silentMetrics = { count: () => undefined, observe: () => undefined, set: () => undefined };
