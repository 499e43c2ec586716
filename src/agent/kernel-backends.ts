import { type Backends, createBackends } from '../backend/backends.ts';
import type { BackendChoice } from '../backend/choose.ts';
import { type IptablesBackendOptions, iptablesBackend } from '../backend/iptables/iptables-backend.ts';
import { holdsOurs, parseSaved } from '../backend/iptables/saved-rules.ts';
import { iptablesTools } from '../backend/iptables/tools.ts';
import type { ReadBackMemory } from '../backend/nft/bring-nft.ts';
import { probeNft } from '../backend/nft/check-nft.ts';
import { loadLibnftables } from '../backend/nft/libnftables.ts';
import { nftBackend } from '../backend/nft/nft-backend.ts';
import { SPAWNED_NFT } from '../backend/nft/spawned-nft.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { RULE_TRACES } from '../netns/rule-traces.ts';
import { tableCopies } from '../netns/table-copies.ts';
import { tableFingerprint } from '../netns/table-fingerprint.ts';
import { TABLE } from '../ruleset/ruleset.ts';

/** Every backend there is, over the kernel of this machine. Nothing is loaded or started before it is needed. */
export function kernelBackends(options: { readonly choice: BackendChoice; readonly nowMs: () => number }): Backends {
  const { nowMs } = options;
  const memory: ReadBackMemory = { fingerprint: tableFingerprint, verified: new Map(), nowMs };
  const families = () => (RULE_TRACES.ipv6() ? ([4, 6] as const) : ([4] as const));
  const nftTools = iptablesTools('nft');
  const legacyTools = iptablesTools('legacy');
  const own: Pick<IptablesBackendOptions, 'families' | 'nowMs'> = { families, nowMs };
  return createBackends({
    choice: options.choice,
    traces: RULE_TRACES,
    makers: {
      nft: {
        make: () => nftBackend('nft', loadLibnftables(), { ...memory, copies: tableCopies() }),
        check: () => probeNft(loadLibnftables()),
      },
      'nft-spawned': {
        make: () => nftBackend('nft-spawned', SPAWNED_NFT, memory),
        check: () => {
          probeNft(SPAWNED_NFT);
          // Some builds of nft cannot print JSON, without which nothing can be read back.
          SPAWNED_NFT.withContext((context) => context.listTable(TABLE));
        },
      },
      'iptables-nft': {
        make: () => iptablesBackend({ ...own, name: 'iptables-nft', tools: nftTools }),
        check: () => {
          nftTools.requirePrograms();
          for (const family of families()) nftTools.save(family);
        },
      },
      'iptables-legacy': {
        make: () => iptablesBackend({ ...own, name: 'iptables-legacy', tools: legacyTools }),
        check: () => {
          legacyTools.requirePrograms();
          // Nothing is asked of legacy iptables itself: that would register its tables here.
          if (RULE_TRACES.legacyTables() === undefined) {
            throw new ControllerError('BackendUnsuited', 'the kernel has no legacy iptables', {
              hint: 'Load the modules ip_tables and ip6_tables on the node, or use nft.',
            });
          }
        },
      },
    },
    legacyChains: () => {
      try {
        return families().some((family) => holdsOurs(parseSaved(legacyTools.save(family))));
      } catch (error: unknown) {
        // Where the program is missing it has not written rules of ours either.
        if (isControllerError(error, 'ProgramMissing')) return false;
        throw error;
      }
    },
  });
}
