import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureParts, partsAreCached } from '../../lab/parts.ts';
import { lab } from '../../lab/paths.ts';

/** Why Istio may not be asked. */
export const NO_PILOT_AGENT = 'pilot-agent is not built; `make lab-up` builds it';

/** Istio's own tool, from the parts of the lab; undefined if they were never built. The lab need not run. */
export async function findPilotAgent(): Promise<string | undefined> {
  const path = join(lab.bin, 'pilot-agent');
  if (!existsSync(path) && partsAreCached()) await ensureParts();
  return existsSync(path) ? path : undefined;
}
