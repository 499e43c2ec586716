import { existsSync } from 'node:fs';
import { isControllerError } from '../errors.ts';
import { createGateEffects } from './effects.ts';
import { type GateOptions, gateHelp, parseGateOptions } from './gate-options.ts';
import { needsAnnotation, needsMark } from './observation.ts';
import { type GateOutcome, waitForGate } from './wait.ts';

/** Exit codes are a contract: 0 passed, 1 usage, 124 timed out (as timeout(1)), 128 + n ended by signal n. */
const EXIT_PASSED = 0;
const EXIT_USAGE = 1;
const EXIT_TIMED_OUT = 124;
const SIGNALS = { SIGTERM: 143, SIGINT: 130 } as const;

export interface GateIo {
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * `init`: holds back the containers behind it until the node agent has captured the pod's traffic. Needs no privilege, volume, token
 * or API: it reads the mark in the pod's own netns.
 * @param argv what follows `init`.
 * @returns the exit code.
 */
export async function runGate(argv: readonly string[], io: GateIo): Promise<number> {
  let options: GateOptions | undefined;
  try {
    options = parseGateOptions(argv, io.env, existsSync);
  } catch (error: unknown) {
    if (!isControllerError(error, 'Usage')) throw error;
    io.stderr(`error: ${error.code}: ${error.message}`);
    if (error.hint !== undefined) io.stderr(`  ${error.hint}`);
    return EXIT_USAGE;
  }
  if (options === undefined) {
    io.stdout(gateHelp());
    return EXIT_PASSED;
  }
  return await waitAndTell(options, io);
}

async function waitAndTell(options: GateOptions, io: GateIo): Promise<number> {
  const effects = createGateEffects(options, io.stdout);
  let signalCode: number | undefined;
  // As process 1 of its container it would otherwise ignore the signal, and the pod's end would wait for the kill.
  const onSignal = (signal: keyof typeof SIGNALS) => {
    signalCode = SIGNALS[signal];
    effects.stop();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, onSignal);
  try {
    io.stdout(`waiting up to ${options.timeoutMs / 1000} s for ${conditions(options).join(' and ')}`);
    return tell(await waitForGate(options, effects), options, io) ?? signalCode ?? SIGNALS.SIGTERM;
  } finally {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, onSignal);
  }
}

function conditions(options: GateOptions): readonly string[] {
  const all: string[] = [];
  if (needsMark(options)) all.push(`the mark of the node agent on lo (${options.markFile})`);
  if (needsAnnotation(options))
    all.push(`annotation ${options.annotationKey}=${options.annotationValue} in ${options.file}`);
  return all;
}

/** Prints the last line and returns the exit code; undefined: a signal decides. */
function tell(outcome: GateOutcome, options: GateOptions, io: GateIo): number | undefined {
  switch (outcome.kind) {
    case 'passed': {
      // process.uptime() counts from where Node begins. The start time in /proc has ticks of 10 ms and includes the time that the
      // runtime held the container created but not started.
      const sinceStartMs = Math.round(process.uptime() * 1_000);
      const grounds = outcome.policyHash === undefined ? options.mode : `${options.mode}; policy ${outcome.policyHash}`;
      io.stdout(`passed after ${sinceStartMs} ms (${grounds})`);
      return EXIT_PASSED;
    }
    case 'timedOut':
      io.stderr(`timed out after ${options.timeoutMs / 1000} s without ${conditions(options).join(' and ')}`);
      for (const { text } of outcome.missing) io.stderr(`missing: ${text}`);
      return EXIT_TIMED_OUT;
    case 'stopped':
      io.stdout('stopped by a signal before the pod was captured');
      return undefined;
  }
}
