import type { Desired } from '../agent/desired.ts';
import { renderIptables } from '../backend/iptables/render.ts';
import { renderNft } from '../backend/nft/render.ts';
import { podKey } from '../pod/pod.ts';
import type { Routing, Ruleset } from '../ruleset/ruleset.ts';
import { type Given, notAllowed } from './given.ts';
import { judgePods, requireCapture } from './judge.ts';
import { outputOf, print } from './output.ts';

/** `render -f pod.yaml`: what a backend is handed, as text, or the rules as values with `-o json`. Touches nothing. */
export async function renderVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const render = rendererOf(given['backend']);
  const judged = judgePods(given);
  const [only] = judged;
  // Of several pods, some may have no rules; of a single one, nothing else was asked for.
  if (only !== undefined && judged.length === 1) requireCapture(only);
  const rendered = judged.map(({ pod, source, desired }) => ({ pod: podKey(pod), source, desired }));
  print(
    output,
    rendered.map(({ pod, source, desired }) => ({ pod, source, ...asJson(desired, render) })),
    rendered.map(({ pod, desired }) => asText(pod, desired, render)),
  );
  return 0;
}

type Scripts = Readonly<Record<string, string>>;

/** By the program that reads it. */
function rendererOf(backend = 'nft'): (ruleset: Ruleset) => Scripts {
  if (backend === 'nft') return (ruleset) => ({ 'nft -f -': renderNft(ruleset) });
  if (backend !== 'iptables') throw notAllowed('--backend', backend, 'nft or iptables');
  return (ruleset) => {
    const text = renderIptables(ruleset);
    return { 'iptables-restore --noflush': text[4], 'ip6tables-restore --noflush': text[6] };
  };
}

/** The schema is docs/schema/render.json: names are a contract. */
function asJson(desired: Desired, render: (ruleset: Ruleset) => Scripts): object {
  const { action, reason, message } = desired.decision;
  const head = { action, reason, message, captured: desired.kind === 'capture' };
  if (desired.kind !== 'capture') return head;
  const { ruleset } = desired;
  return {
    ...head,
    policyHash: ruleset.policyHash,
    ruleset,
    scripts: render(ruleset),
    commands: routingCommands(ruleset.routing),
  };
}

function asText(pod: string, desired: Desired, render: (ruleset: Ruleset) => Scripts): string {
  const { reason, message } = desired.decision;
  if (desired.kind !== 'capture') return `# pod ${pod}: not captured: ${reason}: ${message}`;
  const commands = routingCommands(desired.ruleset.routing);
  return [
    `# pod ${pod}, policy ${desired.ruleset.policyHash}`,
    ...Object.entries(render(desired.ruleset)).flatMap(([program, script]) => [`# ${program}`, script]),
    ...(commands.length === 0 ? [] : ['# besides, in the netns:', ...commands.map((line) => `#   ${line}`)]),
  ].join('\n');
}

/** What iproute2 would do for the policy; the agent does it over rtnetlink. */
function routingCommands({ loopbackAddresses, markedToLocal }: Routing): readonly string[] {
  const addresses = loopbackAddresses.map(
    ({ family, address, prefix }) => `ip -${family} address add ${address}/${prefix} dev lo`,
  );
  if (markedToLocal === undefined) return addresses;
  const { mark, routeTable, families } = markedToLocal;
  return [
    ...addresses,
    ...families.flatMap((family) => [
      `ip -${family} rule add fwmark ${mark} lookup ${routeTable}`,
      `ip -${family} route add local default dev lo table ${routeTable}`,
    ]),
  ];
}
