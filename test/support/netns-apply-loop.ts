import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects } from '../../src/agent/netns-effects.ts';
import type { BackendName } from '../../src/backend/backend.ts';
import { desiredOf } from './netns-policy.ts';

/** Child of the atomicity test: changes a netns's policy back and forth until it is killed, wherever it is. */
const [netnsPath = '', backend = 'nft'] = process.argv.slice(2);

/** Both capture the same traffic; rules and sets differ. */
export function variant(turn: number) {
  return desiredOf({
    annotations: {
      excludeOutboundIPRanges: `10.${turn % 200}.0.0/16,10.250.0.0/16`,
      excludeInboundPorts: `${2_000 + turn}`,
    },
  });
}

if (import.meta.main) {
  const effects = await kernelEffects({ backend: backend as BackendName });
  for (let turn = 0; ; turn += 1) {
    captureNetns({ netnsPath, podIPs: [], ...variant(turn % 2) }, effects);
    if (turn === 0) process.send?.('started');
  }
}
