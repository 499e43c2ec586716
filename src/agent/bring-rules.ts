import type { BackendName, BroughtRules } from '../backend/backend.ts';
import type { Mark } from '../netns/mark-text.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { NetnsEffects } from './netns-effects.ts';

export interface RulesTask {
  readonly ruleset: Ruleset;
  /** The mark that stands in the netns. */
  readonly mark: Mark;
  readonly ownUserNamespace: boolean;
}

/**
 * Makes addresses, routes and rules of the current netns the desired ones, the rules by the backend that suits it, and reads them back.
 * Routes come first: rules that mark packets for a table that is not there would let them go where they were going.
 */
export function bringRules(
  { backends, addRouting, inspectRouting }: Pick<NetnsEffects, 'backends' | 'addRouting' | 'inspectRouting'>,
  { ruleset, mark, ownUserNamespace }: RulesTask,
): BroughtRules & { readonly backend: BackendName } {
  const fresh = mark.kind === 'none';
  const readyHash = mark.kind === 'ready' ? mark.policyHash : undefined;
  const marked = readyHash === ruleset.policyHash;
  const routingDrift = marked ? inspectRouting(ruleset.routing) : [];
  const routing = !marked || routingDrift.length > 0 ? addRouting(ruleset.routing, { fresh }) : undefined;
  const { backend, leftBehind } = backends.choose({ fresh, ownUserNamespace });
  const brought = backend.bring({ ruleset, fresh, readyHash });
  for (const other of leftBehind) other.clean();
  // What another policy needed goes last: until just now its rules marked packets.
  const trimmed = routing?.trim() === true;
  return {
    ...brought,
    backend: backend.name,
    drift: [...routingDrift, ...brought.drift],
    written: brought.written || routing?.changed === true || trimmed || leftBehind.length > 0,
  };
}
