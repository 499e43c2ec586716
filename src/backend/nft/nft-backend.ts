import { TABLE } from '../../ruleset/ruleset.ts';
import { ABSENT, type Backend, type BackendName, policyHashOf } from '../backend.ts';
import { bringNft, type ReadBackMemory } from './bring-nft.ts';
import { compareNft } from './compare.ts';
import type { Nft } from './libnftables.ts';
import { renderClean } from './render.ts';

/** Rules as one nftables table of our own, by whichever way `nft` reaches the kernel. At most one context, made and freed, for each visit. */
export function nftBackend(name: BackendName, nft: Nft, memory: ReadBackMemory): Backend {
  return {
    name,
    bring: (task) => bringNft({ ...task, ...memory, nft }),
    clean: () =>
      nft.withContext((context) => {
        if (context.listTable(TABLE) === undefined) return false;
        context.run(renderClean());
        return true;
      }),
    inspect: (ruleset) =>
      nft.withContext((context) => {
        const listing = context.listTable(TABLE);
        if (listing === undefined) {
          const drift = ruleset === undefined ? [] : [{ where: 'table', expected: ruleset.table, found: ABSENT }];
          return { policyHash: undefined, drift, listing };
        }
        const drift = ruleset === undefined ? [] : compareNft(ruleset, listing);
        return { policyHash: policyHashOf(context.tableComment(TABLE)), drift, listing };
      }),
  };
}
