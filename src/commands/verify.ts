import { captureEffect } from '../agent/capture-netns.ts';
import type { Inspection } from '../agent/tend-netns.ts';
import { ABSENT, type Drift } from '../backend/backend.ts';
import type { Mark } from '../netns/mark-text.ts';
import { podKey } from '../pod/pod.ts';
import { differences } from './drift-text.ts';
import { type Given, required } from './given.ts';
import { judgeCaptured } from './judge.ts';
import { emphasis, outputOf, print } from './output.ts';

/**
 * `verify --netns PATH [-f pod.yaml]`: reads the kernel, compares it with the policy of the pod, or, without a manifest, with what the
 * mark says, and prints every difference. Exit 1 on drift. Writes nothing.
 */
export async function verifyVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const netnsPath = required(given, 'netns');
  const wanted = wantedOf(given);
  const found = (await captureEffect()).inspect(netnsPath, wanted?.ruleset);
  const drift = [...found.drift, ...markDrift(found)];
  print(
    output,
    {
      ...(wanted === undefined ? {} : { pod: wanted.pod, wantedPolicyHash: wanted.ruleset.policyHash }),
      netns: netnsPath,
      ...found,
      drift,
    },
    [
      `${netnsPath}: ${headline(drift)}`,
      `  rules: ${rulesText(found, wanted?.ruleset.policyHash)}`,
      `  mark: ${markText(found.mark)}`,
      ...differences(drift).flatMap(diffText),
    ],
  );
  return drift.length === 0 ? 0 : 1;
}

function wantedOf(given: Given) {
  if (given['filename'] === undefined) return undefined;
  const { pod, desired } = judgeCaptured(given);
  return { pod: podKey(pod), ruleset: desired.ruleset };
}

/** A ready mark opens the gate: it must not stand over other rules than it names. */
function markDrift({ mark, policyHash }: Inspection): readonly Drift[] {
  if (mark.kind !== 'ready' || mark.policyHash === policyHash) return [];
  return [{ where: 'mark', expected: `ready for policy ${policyHash ?? ABSENT}`, found: markText(mark) }];
}

function headline(drift: readonly Drift[]): string {
  if (drift.length === 0) return emphasis('green', 'no drift');
  return emphasis('red', 'drift: - is what should be, + is what is there');
}

function rulesText({ policyHash, backends = [] }: Inspection, wanted: string | undefined): string {
  if (backends.length === 0) return 'none of ours';
  const by = `by ${backends.join(' and ')}`;
  if (policyHash === undefined) return `of an unknown policy, ${by}`;
  if (wanted === undefined || wanted === policyHash) return `policy ${policyHash}, ${by}`;
  return `policy ${policyHash}, ${by}: not the pod's, which is ${wanted}`;
}

function markText(mark: Mark): string {
  switch (mark.kind) {
    case 'none':
      return 'none: the gate is shut';
    case 'ready':
      return `ready for policy ${mark.policyHash}`;
    case 'refused':
      return `refused ${mark.code}: ${mark.text}`;
    case 'foreign':
      return `none of ours; lo has the alias ${JSON.stringify(mark.alias)}`;
  }
}

/** In the words of `render` and `trace`. */
function diffText({ where, lines }: ReturnType<typeof differences>[number]): readonly string[] {
  return [
    `  ${where}`,
    ...lines.map(({ sign, text }) => emphasis(sign === '-' ? 'red' : 'green', `  ${sign} ${text}`)),
  ];
}
