import { captureEffect } from '../agent/capture-netns.ts';
import { type Given, required } from './given.ts';
import { requireCapture } from './judge.ts';
import { readNamespace, readOnePod } from './manifest.ts';
import { emphasis, outputOf, print } from './output.ts';

/** `verify -f pod.yaml --netns PATH`: reads the kernel, compares, prints every difference. Exit 1 on drift. Writes nothing. */
export async function verifyVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const netnsPath = required(given, 'netns');
  const pod = readOnePod(required(given, 'filename'));
  const { ruleset } = requireCapture(pod, readNamespace(given['namespaceFile'], pod), given);
  const found = (await captureEffect()).inspect(netnsPath, ruleset);
  const same = found.drift.length === 0;
  const head = same ? emphasis('green', 'no drift') : emphasis('red', `${found.drift.length} differences`);
  print(output, { netns: netnsPath, policyHash: ruleset.policyHash, ...found }, [
    `${netnsPath}: ${head}; mark: ${found.mark.kind}`,
    ...found.drift.flatMap((drift) => [`  ${drift.where}`, `  - ${drift.expected}`, `  + ${drift.found}`]),
  ]);
  return same ? 0 : 1;
}
