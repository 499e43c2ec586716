import type { Log } from '../../telemetry/log.ts';
import type { PluginHooks, PluginObserver, ToldState } from './plugin-hooks.ts';

type Answered = Parameters<PluginObserver['answered']>[0];

/** Hooks that note how they were called, and an observer and a log that note what they were told. */
export interface RecordedHooks {
  readonly hooks: PluginHooks;
  readonly observer: PluginObserver;
  readonly log: Log;
  /** In order: `runPodSandbox web`, `stopPodSandbox <id>`, `createContainer web/app`, `connected true`, `synchronized`. */
  readonly calls: string[];
  readonly synchronizations: ToldState[];
  readonly answers: Answered[];
  /** `connected`, `lost`, `rejected`. */
  readonly observed: string[];
  /** Level and message, without fields. */
  readonly lines: string[];
}

export function recordHooks(overrides: Partial<PluginHooks> = {}): RecordedHooks {
  const calls: string[] = [];
  const synchronizations: ToldState[] = [];
  const answers: Answered[] = [];
  const observed: string[] = [];
  const lines: string[] = [];
  const note = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const hooks: PluginHooks = {
    synchronized: (told) => {
      calls.push('synchronized');
      synchronizations.push(told);
      overrides.synchronized?.(told);
    },
    runPodSandbox: async (sandbox, call) => {
      calls.push(`runPodSandbox ${sandbox.podName}`);
      await overrides.runPodSandbox?.(sandbox, call);
    },
    createContainer: async (sandbox, container, call) => {
      calls.push(`createContainer ${sandbox.podName}/${container.name}`);
      return await overrides.createContainer?.(sandbox, container, call);
    },
    mustDecide: (sandbox) => overrides.mustDecide?.(sandbox) ?? false,
    stopPodSandbox: (sandboxId) => {
      calls.push(`stopPodSandbox ${sandboxId}`);
      overrides.stopPodSandbox?.(sandboxId);
    },
    removePodSandbox: (sandboxId) => {
      calls.push(`removePodSandbox ${sandboxId}`);
      overrides.removePodSandbox?.(sandboxId);
    },
    connected: (is) => {
      calls.push(`connected ${is}`);
      overrides.connected?.(is);
    },
  };
  const observer: PluginObserver = {
    answered: (answer) => void answers.push(answer),
    connected: () => void observed.push('connected'),
    lost: () => void observed.push('lost'),
    rejected: () => void observed.push('rejected'),
  };
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  return { hooks, observer, log, calls, synchronizations, answers, observed, lines };
}
