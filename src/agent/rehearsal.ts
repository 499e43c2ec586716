import { compareNft } from '../backend/nft/compare.ts';
import { type Nft, loadLibnftables } from '../backend/nft/libnftables.ts';
import { renderNft } from '../backend/nft/render.ts';
import { isControllerError, messageOf } from '../errors.ts';
import { parsePod } from '../pod/parse-pod.ts';
import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import type { Log } from '../telemetry/log.ts';
import { type DesiredOptions, desiredFor } from './desired.ts';

/**
 * Goes through what a hook does before it enters a netns, and lets the kernel check the rules in our own netns without taking them: so the
 * first pod does not wait for code that is compiled with its first use. Writes nothing; a failure is told by the pod that meets it.
 */
export function rehearse(options: DesiredOptions, log: Log, nft: () => Nft = loadLibnftables): void {
  const startMs = performance.now();
  try {
    rehearseOnce(options, nft());
  } catch (error: unknown) {
    if (!isControllerError(error)) throw error;
    log.debug('rehearsal failed', { code: error.code, error: messageOf(error) });
  }
  log.info('rehearsed', { ms: Math.round(performance.now() - startMs) });
}

function rehearseOnce(options: DesiredOptions, nft: Nft): void {
  const pod = parsePod(SAMPLE);
  const desired = desiredFor(pod, { name: pod.namespace, labels: {}, annotations: {} }, options);
  if (desired.kind !== 'capture') return;
  const { ruleset } = desired;
  nft.withContext((context) => {
    context.check(renderNft(ruleset, { over: 'create' }));
    context.listTable(ruleset.table);
  });
  compareNft(ruleset, { nftables: [] });
}

/** A pod as Istio injects it, with the arguments of its defaults. */
const SAMPLE = {
  metadata: {
    // No Kubernetes object can have this name, so no list of Namespaces excludes it.
    namespace: 'Rehearsal',
    name: 'rehearsal',
    annotations: { [INITIALIZE_ANNOTATION]: 'true' },
  },
  spec: {
    initContainers: [
      {
        name: 'istio-validation',
        args: [
          ...['istio-iptables', '-p', '15001', '-z', '15006', '-u', '1337', '-m', 'REDIRECT', '-i', '*', '-x', ''],
          ...['-b', '*', '-d', '15090,15021,15020', '--run-validation', '--skip-rule-apply'],
        ],
      },
      { name: 'istio-proxy', args: ['proxy', 'sidecar'], restartPolicy: 'Always' },
    ],
    containers: [{ name: 'app' }],
  },
  status: { phase: 'Pending' },
};
