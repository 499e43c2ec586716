import { renderNft } from '../../src/backend/nft/render.ts';
import { bringRouting, cleanRouting } from '../../src/netns/routing.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { Programmer } from './engine.ts';
import { load, type World } from './world.ts';

/** Our own rules, as the native backend writes them. */
export function ourProgrammer(world: World, ruleset: Ruleset): Programmer {
  return {
    bring: () =>
      world.inside('pod', () => {
        bringRouting(ruleset.routing);
        load(renderNft(ruleset));
      }),
    remove: () => world.inside('pod', () => void cleanRouting()),
  };
}
