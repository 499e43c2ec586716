import { readFileSync } from 'node:fs';
import { type CaptureEffect, captureEffect } from '../../src/agent/capture-netns.ts';
import { BACKEND_NAMES } from '../../src/backend/backend.ts';
import { probeNft } from '../../src/backend/nft/check-nft.ts';
import { loadLibnftables } from '../../src/backend/nft/libnftables.ts';
import { isControllerError, messageOf } from '../../src/errors.ts';
import { SAMPLE_PROBES, sampleRuleset } from './netns-rulesets.ts';

/** Child of the privilege test: captures one netns by the backend named in BACKEND and prints, as JSON, how each step ended. */
const [netnsPath = '', ...podIPs] = process.argv.slice(2);
const backend = BACKEND_NAMES.find((name) => name === process.env['BACKEND']);
const effect = await begun();
const request = { netnsPath, podIPs, ruleset: sampleRuleset(), probes: SAMPLE_PROBES };

/** An agent that may enter no netns does not get further than this. */
async function begun(): Promise<CaptureEffect> {
  try {
    return await captureEffect({ backend });
  } catch (error: unknown) {
    process.stdout.write(JSON.stringify({ capture: textOf(error) }));
    return process.exit(0);
  }
}

function capture(): string {
  const session = effect.begin(request);
  try {
    return session.finish().action;
  } finally {
    session.close();
  }
}

const steps: Readonly<Record<string, () => unknown>> = {
  capEff: () => /CapEff:\t(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1],
  capture,
  again: capture,
  refuse: () => effect.refuse({ netnsPath, podIPs, code: 'Test', text: 'test' }),
  clean: () => effect.clean(netnsPath),
  nft: () => {
    probeNft(loadLibnftables());
    return 'works';
  },
};

const results = Object.entries(steps).map(([name, step]) => [name, outcomeOf(step)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));

function outcomeOf(step: () => unknown): unknown {
  try {
    return step();
  } catch (error: unknown) {
    return textOf(error);
  }
}

function textOf(error: unknown): string {
  return isControllerError(error) ? `${error.code}: ${error.message} ${error.hint ?? ''}` : messageOf(error);
}
