import type { Cast } from './cluster-policy-stage.ts';
import { ask, type Ask } from './cluster-tokens.ts';

/** One row of the table. */
export interface Attack {
  readonly attacker: string;
  readonly action: string;
  /** Who refuses it (`whoRefused`), or `nothing`: a limit that docs/security.md tells of. */
  readonly stoppedBy: string;
  /** What the one who refused said; empty if it went through. */
  readonly attempt: (cast: Cast) => Promise<string>;
  /** Undoes what was not stopped. */
  readonly undo?: (cast: Cast) => Promise<void>;
}

/** A request that one of the cast sends. */
export function row(
  [attacker, action, stoppedBy]: readonly [string, string, string],
  who: keyof Cast,
  what: Ask | (() => Ask | Promise<Ask>),
): Attack {
  const attempt = async (cast: Cast): Promise<string> => {
    const { status, message } = await ask(cast[who], typeof what === 'function' ? await what() : what);
    return status < 400 ? '' : `${status} ${message}`;
  };
  return { attacker, action, stoppedBy, attempt };
}

/** A merge patch. */
export const patch = (path: string, body: unknown): Ask => ({ method: 'PATCH', path, body });
