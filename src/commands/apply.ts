import { captureEffect } from '../agent/capture-netns.ts';
import { resolveFlags } from '../config/flag.ts';
import { BACKEND_FLAGS } from '../config/flags.ts';
import { podKey } from '../pod/pod.ts';
import { type Given, required } from './given.ts';
import { judgeCaptured } from './judge.ts';
import { outputOf, print } from './output.ts';
import { withProgress } from './progress.ts';

/** `apply -f pod.yaml --netns PATH`: what the agent does for a pod, for one netns: rules, proof, mark. */
export async function applyVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const netnsPath = required(given, 'netns');
  const { pod, desired } = judgeCaptured(given);
  const { ruleset, probes } = desired;
  const { backend } = resolveFlags(BACKEND_FLAGS, given, process.env);
  const effect = await captureEffect({ backend });
  const request = { netnsPath, podIPs: pod.podIPs, ruleset, probes, ownUserNamespace: !pod.hostUsers };
  const session = await withProgress(`still at work in ${netnsPath}: rules, then their proof by live connects`, () =>
    effect.begin(request),
  );
  try {
    const outcome = session.finish();
    const { timingsMs } = outcome;
    print(output, { pod: podKey(pod), netns: netnsPath, policyHash: ruleset.policyHash, ...outcome }, [
      `${outcome.action} policy ${ruleset.policyHash} in ${netnsPath} by ${outcome.backend} (${timingsMs.total.toFixed(2)} ms, proof ${timingsMs.probe.toFixed(2)} ms)`,
    ]);
    return 0;
  } finally {
    session.close();
  }
}
