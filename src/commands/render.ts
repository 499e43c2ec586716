import { renderIptables } from '../backend/iptables/render.ts';
import { renderNft } from '../backend/nft/render.ts';
import { ControllerError } from '../errors.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { type Given, required } from './given.ts';
import { requireCapture } from './judge.ts';
import { readNamespace, readPods } from './manifest.ts';
import { outputOf, print } from './output.ts';

/** `render -f pod.yaml`: what a backend is handed, as text, or the rules as values with `-o json`. Touches nothing. */
export async function renderVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const render = rendererOf(given['backend']);
  const rendered = readPods(required(given, 'filename')).map(({ pod }) => {
    const { ruleset } = requireCapture(pod, readNamespace(given['namespaceFile'], pod), given);
    return { pod: `${pod.namespace}/${pod.name}`, ruleset, text: render(ruleset) };
  });
  print(
    output,
    rendered.map(({ pod, ruleset }) => ({ pod, ruleset })),
    rendered.map(({ pod, text }) => `# pod ${pod}\n${text}`),
  );
  return 0;
}

function rendererOf(backend = 'nft'): (ruleset: Ruleset) => string {
  if (backend === 'nft') return (ruleset) => renderNft(ruleset);
  if (backend === 'iptables') return iptablesText;
  throw new ControllerError('Usage', `--backend: ${JSON.stringify(backend)} is not allowed: nft or iptables`);
}

function iptablesText(ruleset: Ruleset): string {
  const text = renderIptables(ruleset);
  return `# iptables-restore --noflush\n${text[4]}# ip6tables-restore --noflush\n${text[6]}`;
}
