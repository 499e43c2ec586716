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
  {
    backends,
    addRouting,
    trimRouting,
    inspectRouting,
  }: Pick<NetnsEffects, 'backends' | 'addRouting' | 'trimRouting' | 'inspectRouting'>,
  { ruleset, mark, ownUserNamespace }: RulesTask,
): BroughtRules & { readonly backend: BackendName } {
  const fresh = mark.kind === 'none';
  const marked = mark.kind === 'ready' && mark.policyHash === ruleset.policyHash;
  const routingDrift = marked ? inspectRouting(ruleset.routing) : [];
  const reroute = !marked || routingDrift.length > 0;
  const added = reroute && addRouting(ruleset.routing).changed;
  const { backend, leftBehind } = backends.choose({ fresh, ownUserNamespace });
  const readyHash = mark.kind === 'ready' ? mark.policyHash : undefined;
  const brought = backend.bring({ ruleset, fresh, readyHash });
  for (const other of leftBehind) other.clean();
  // What another policy needed goes last: until just now its rules marked packets.
  const trimmed = reroute && trimRouting(ruleset.routing).changed;
  return {
    ...brought,
    backend: backend.name,
    drift: [...routingDrift, ...brought.drift],
    written: brought.written || added || trimmed || leftBehind.length > 0,
  };
}
