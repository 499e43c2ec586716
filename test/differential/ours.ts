import { kernelBackends } from '../../src/agent/kernel-backends.ts';
import type { BackendName } from '../../src/backend/backend.ts';
import type { Backends } from '../../src/backend/backends.ts';
import { bringRouting, cleanRouting } from '../../src/netns/routing.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { Programmer } from './engine.ts';
import type { World } from './world.ts';

/** Our own rules, written and read back by one of our backends. */
export function ourProgrammer(world: World, ruleset: Ruleset, backend: BackendName): Programmer {
  const choose = () => backendsOf(backend).choose({ fresh: true, ownUserNamespace: false }).backend;
  return {
    bring: () =>
      world.inside('pod', () => {
        bringRouting(ruleset.routing);
        choose().bring({ ruleset, fresh: true, readyHash: undefined });
      }),
    remove: () =>
      world.inside('pod', () => {
        choose().clean();
        cleanRouting();
      }),
  };
}

const made = new Map<BackendName, Backends>();

/** What works is found out once. */
function backendsOf(choice: BackendName): Backends {
  const backends = made.get(choice) ?? kernelBackends({ choice, nowMs: () => performance.now() });
  made.set(choice, backends);
  return backends;
}
