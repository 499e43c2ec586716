import { wholeNumber } from '../config/values.ts';
import { ControllerError, messageOf } from '../errors.ts';
import { type Cluster, openCluster } from '../kubeconfig/cluster.ts';
import { openLogin } from '../kubeconfig/login.ts';
import { type Given, notAllowed } from './given.ts';

/** An hour is longer than anybody waits for one answer. */
const REQUEST_SECONDS = { min: 1, max: 3_600 };

/** Logs in as the flags say, and ends all requests with `signal`. */
export async function clusterOf(given: Given, signal: AbortSignal): Promise<Cluster> {
  const requestTimeoutMs = secondsOf(given['requestTimeout'] ?? '30') * 1_000;
  const login = await openLogin({
    kubeconfig: given['kubeconfig'],
    context: given['context'],
    as: given['as'],
    env: process.env,
    say: (text) => void process.stderr.write(`${text}\n`),
  });
  return openCluster(login, { requestTimeoutMs, signal });
}

/** As kubectl takes it: `30`, or `30s`. */
function secondsOf(raw: string): number {
  try {
    return wholeNumber(REQUEST_SECONDS)(raw.replace(/s$/, ''));
  } catch (error: unknown) {
    throw new ControllerError('Usage', `--request-timeout: ${JSON.stringify(raw)} is not allowed: ${messageOf(error)}`);
  }
}

/** One of a few words, or the first of them. */
export function choiceOf<const T extends string>(
  flag: string,
  given: string | undefined,
  choices: readonly [T, ...T[]],
): T {
  if (given === undefined) return choices[0];
  const found = choices.find((choice) => choice === given);
  if (found === undefined) throw notAllowed(flag, given, choices.join(', '));
  return found;
}
