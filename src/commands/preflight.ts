import { GROUPS, type Verdict } from '../preflight/check.ts';
import { type Checked, runChecks } from '../preflight/checks.ts';
import { plainText } from '../status/plain-text.ts';
import { choiceOf, clusterOf } from './cluster-login.ts';
import type { Given } from './given.ts';
import { emphasis, print } from './output.ts';
import { gatherFacts } from './preflight-gather.ts';
import { productVersion } from './version.ts';

/** `preflight`: what an install into this cluster would meet. Changes nothing. Exit 1 when a check fails, 2 when the cluster cannot be asked. */
export async function preflightVerb(given: Given): Promise<number> {
  const output = choiceOf('--output', given['output'], ['text', 'json']);
  const options = {
    namespace: given['namespace'] ?? 'istio-pod-network-controller',
    istioNamespace: given['istioNamespace'] ?? 'istio-system',
    revision: given['revision'],
    version: productVersion(),
  };
  const stop = new AbortController();
  const cluster = await clusterOf(given, stop.signal);
  try {
    const facts = await gatherFacts(cluster, options);
    const checks = runChecks(facts, options);
    const failed = checks.some(({ verdict }) => verdict === 'fail');
    const { href } = cluster.login.server;
    print(output, { server: href, failed, checks }, [`${cluster.login.place}, ${href}`, ...asText(checks)]);
    return failed ? 1 : 0;
  } finally {
    stop.abort();
    cluster.close();
  }
}

function asText(checks: readonly Checked[]): readonly string[] {
  const width = Math.max(...checks.map(({ id }) => id.length));
  const groups = GROUPS.flatMap((group) => {
    const own = checks.filter((check) => check.group === group);
    return own.length === 0 ? [] : ['', emphasis('bold', group), ...own.flatMap((check) => checkText(check, width))];
  });
  return [...groups, '', summary(checks)];
}

const STYLES = { ok: 'green', warn: 'yellow', fail: 'red', skipped: 'dim' } as const;
const VERDICT_WIDTH = 'skipped'.length;

function checkText({ id, verdict, finding, wayOut }: Checked, width: number): readonly string[] {
  const head = `  ${emphasis(STYLES[verdict], verdict.padEnd(VERDICT_WIDTH))}  ${id.padEnd(width)}  ${plainText(finding, LINE_BYTES)}`;
  return wayOut === undefined
    ? [head]
    : [head, `  ${''.padEnd(VERDICT_WIDTH + width + 2)}  ${emphasis('dim', `→ ${plainText(wayOut, LINE_BYTES)}`)}`];
}

/** Findings hold names from the cluster. */
const LINE_BYTES = 600;

function summary(checks: readonly Checked[]): string {
  const count = (verdict: Verdict) => checks.filter((check) => check.verdict === verdict).length;
  const counts = (['ok', 'warn', 'fail', 'skipped'] as const)
    .map((verdict) => `${count(verdict)} ${verdict}`)
    .join(', ');
  if (count('fail') > 0) return emphasis('red', `${counts}: do what is marked fail first; docs/preflight.md says more`);
  if (count('skipped') > 0) return emphasis('yellow', `${counts}: nothing in the way, as far as it could be told`);
  return emphasis('green', `${counts}: ready to install`);
}
