import { ruleText } from '../backend/nft/rule-text.ts';
import type { Rule, Verdict } from '../ruleset/ruleset.ts';

/** A rule in nft's words, as `render` prints it and `verify` compares it. */
export function ruleWords(rule: Rule): string {
  const { matches, verdict } = ruleText(rule);
  return [...matches, verdict].join(' ');
}

/** `excluded outbound ports: annotation KEY` with the setting in brackets. */
export function reasonText(reason: string): string {
  const cut = reason.indexOf(': ');
  if (cut < 0) return reason;
  const [what, setting] = [reason.slice(0, cut), reason.slice(cut + 2)];
  return `${what} (${SETTINGS[setting] ?? setting})`;
}

/** Settings that have no name of their own in a reason. */
const SETTINGS: Readonly<Record<string, string>> = {
  default: "Istio's default",
  securityContext: 'securityContext of proxy or pod',
};

/** What a rule does, for people. */
export function effectText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'return':
      return 'let go';
    case 'accept':
      return 'let through';
    case 'drop':
      return 'dropped';
    case 'jump':
      return `on to ${verdict.chain}`;
    case 'redirect':
      return `redirected to port ${verdict.port} of the pod`;
    case 'tproxy':
      return `handed to port ${verdict.port} of the pod with its addresses unchanged, and marked ${verdict.mark}`;
    case 'setMark':
      return `marked ${verdict.mark}`;
    case 'saveMark':
      return 'its mark becomes that of its connection';
    case 'restoreMark':
      return 'it gets the mark of its connection';
    case 'zone':
      return `tracked apart, in conntrack zone ${verdict.zone}`;
  }
}
