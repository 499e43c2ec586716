import { oneOf } from '../config/values.ts';
import { messageOf } from '../errors.ts';
import { podKey } from '../pod/pod.ts';
import { simulate } from '../ruleset/simulate.ts';
import { type Given, notAllowed, required } from './given.ts';
import { type JudgedPod, judgePods } from './judge.ts';
import { outputOf, print } from './output.ts';
import { ruleWords } from './rule-words.ts';
import { packetFor, type TraceRequest, traceRequest } from './trace-packet.ts';
import { endText, journeyText, type Traced } from './trace-text.ts';

/** `trace -f pod.yaml --from app --to tcp://10.0.0.5:443`: the rules a packet meets, the setting behind each, and where it ends. Sends nothing. */
export async function traceVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const request = traceRequest(required(given, 'from'), required(given, 'to'), given);
  const verbose = shownRules(given['rules']) === 'all';
  const traced = judgePods(given).map((one) => trace(one, request, { verbose }));
  print(output, traced.map(asJson), traced.flatMap(journeyText));
  return 0;
}

function shownRules(given: string | undefined): 'met' | 'all' {
  try {
    return oneOf(['met', 'all'] as const)(given ?? 'met');
  } catch (error: unknown) {
    throw notAllowed('--rules', given, messageOf(error));
  }
}

function trace(
  { pod, source, desired }: JudgedPod,
  request: TraceRequest,
  { verbose }: { readonly verbose: boolean },
): Traced {
  const known = { pod, source, request, desired };
  if (desired.kind !== 'capture') return { ...known, journey: undefined };
  const packet = packetFor(pod, desired.policy, request);
  return { ...known, journey: { packet, ...simulate(desired.ruleset, packet, { verbose }) } };
}

/** The schema is docs/schema/trace.json: names are a contract. */
function asJson(traced: Traced): object {
  const { pod, source, request, desired, journey } = traced;
  const { action, reason, message } = desired.decision;
  const head = { pod: podKey(pod), source, action, reason, message, captured: desired.kind === 'capture' };
  if (desired.kind !== 'capture' || journey === undefined) return head;
  const { packet, landing, met, passed, mark, connectionMark, zone } = journey;
  const named = ({ hook, chain, index, rule }: (typeof met)[number]) => ({
    hook,
    chain,
    position: index + 1,
    rule: ruleWords(rule),
    reason: rule.reason,
  });
  return {
    ...head,
    policyHash: desired.ruleset.policyHash,
    from: request.from,
    packet,
    rules: met.map(named),
    ...(passed.length === 0 ? {} : { passedOver: passed.map(named) }),
    landing,
    mark,
    connectionMark,
    zone,
    ends: endText(traced),
  };
}
