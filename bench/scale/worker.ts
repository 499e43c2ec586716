import { setMaxListeners } from 'node:events';
import { LIST_WATCHES_PER_AGENT, runSimulatedAgent } from './agent.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { monotonicMs } from './monotonic.ts';
import { usageOf } from '../process-usage.ts';
import type { CrewReport, Landing, Order, Word } from './protocol.ts';
import { countTraffic } from './traffic.ts';

/** Child of `crew.ts`: a process full of agents. It ends when its parent does. */
const traffic = countTraffic();
const landings: Landing[] = [];
let ledger: Ledger | undefined;
setMaxListeners(0);

process.on('message', (order: Order) => {
  if (order.order === 'start') start(order);
  else {
    say({ word: 'report', report: report() });
    if (order.clear) clear();
  }
});
process.on('disconnect', () => process.exit(0));
say({ word: 'listening' });

function start({ agents, url, ca, times }: Extract<Order, { order: 'start' }>): void {
  const book = createLedger({
    agents: agents.length,
    listWatchesPerAgent: LIST_WATCHES_PER_AGENT,
    nowMs: monotonicMs,
    onSettled: (settled) => say({ word: 'settled', settled }),
    onMarked: (marker) => say({ word: 'marked', marker }),
  });
  ledger = book;
  for (const [index, identity] of agents.entries()) {
    const onLanding = (landing: Landing) => void landings.push(landing);
    runSimulatedAgent({ identity, index, url: new URL(url), ca, times, ledger: book, onLanding });
  }
}

function report(): CrewReport {
  const { cpuSeconds, rssMiB } = usageOf(process.pid);
  const seen = ledger?.report() ?? { openedMs: [], requests: [], troubles: {}, markedMs: {} };
  return { ...seen, ...traffic(), landings: [...landings], cpuSeconds, rssMiB };
}

function clear(): void {
  ledger?.clear();
  landings.length = 0;
}

function say(word: Word): void {
  process.send?.(word);
}
