import { renderNft } from '../backend/nft/render.ts';
import { type Given, required } from './given.ts';
import { requireCapture } from './judge.ts';
import { readNamespace, readPods } from './manifest.ts';
import { outputOf, print } from './output.ts';

/** `render -f pod.yaml`: the transaction as text, or the rules as values with `-o json`. Touches nothing. */
export async function renderVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const rendered = readPods(required(given, 'filename')).map(({ pod }) => {
    const { ruleset } = requireCapture(pod, readNamespace(given['namespaceFile'], pod), given);
    return { pod: `${pod.namespace}/${pod.name}`, ruleset, text: renderNft(ruleset) };
  });
  print(
    output,
    rendered.map(({ pod, ruleset }) => ({ pod, ruleset })),
    rendered.map(({ pod, text }) => `# pod ${pod}\n${text}`),
  );
  return 0;
}
