import { ControllerError } from '../errors.ts';
import { BACKEND_NAMES, type BackendName } from './backend.ts';

/** `auto`: the first that works on the node. A name: that one, except where rules of another one stand already. */
export const BACKEND_CHOICES = ['auto', ...BACKEND_NAMES] as const;
export type BackendChoice = (typeof BACKEND_CHOICES)[number];

/** Where rules can stand. Both ways of nft write the same table. */
export type RuleHolder = 'nft' | 'iptables-nft' | 'iptables-legacy';

export interface NetnsFacts {
  /** Where rules of ours stand. */
  readonly standing: readonly RuleHolder[];
  /** The netns belongs to a user namespace of its own (`hostUsers: false`). */
  readonly ownUserNamespace: boolean;
}

/**
 * The backends that may write to a netns, best first; at least one. A netns keeps what it has: two sets of rules would each capture.
 * Pure; throws `BackendUnsuited` where none may.
 */
export function candidates(choice: BackendChoice, facts: NetnsFacts): readonly BackendName[] {
  const wanted: readonly BackendName[] = choice === 'auto' ? BACKEND_NAMES : [choice];
  const kept = keptHolder(wanted, facts.standing);
  const allowed = kept === undefined ? wanted : forHolder(kept, wanted);
  if (!facts.ownUserNamespace) return allowed;
  const suited = allowed.filter((name) => holderOf(name) === 'nft');
  if (suited.length === 0) throw unsuitedForUserNamespace(allowed);
  return suited;
}

export function holderOf(name: BackendName): RuleHolder {
  return name === 'nft-spawned' ? 'nft' : name;
}

/** Of several that stand there, after a switch that was cut short, the one that is wanted most. */
function keptHolder(wanted: readonly BackendName[], standing: readonly RuleHolder[]): RuleHolder | undefined {
  const order = [...wanted, ...BACKEND_NAMES].map(holderOf);
  return order.find((holder) => standing.includes(holder));
}

function forHolder(holder: RuleHolder, wanted: readonly BackendName[]): readonly BackendName[] {
  const own = wanted.filter((name) => holderOf(name) === holder);
  return own.length > 0 ? own : BACKEND_NAMES.filter((name) => holderOf(name) === holder);
}

function unsuitedForUserNamespace(names: readonly BackendName[]): ControllerError {
  return new ControllerError(
    'BackendUnsuited',
    `${names.join(', ')} cannot match owners in a pod with hostUsers: false: the kernel's xt_owner refuses it (EINVAL)`,
    { hint: 'Use --backend auto, nft or nft-spawned on this node, or run the pod with hostUsers: true.' },
  );
}
