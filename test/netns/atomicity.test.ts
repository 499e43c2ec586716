import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { inspectNetns } from '../../src/agent/tend-netns.ts';
import type { BackendName } from '../../src/backend/backend.ts';
import { loadLibnftables } from '../../src/backend/nft/libnftables.ts';
import { renderNft } from '../../src/backend/nft/render.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { variant } from '../support/netns-apply-loop.ts';
import { insideNetns } from '../support/netns-lab.ts';
import { createLoadScene, type LoadCount, type LoadScene, type RunningLoad } from '../support/netns-load-client.ts';

/**
 * While the application and the outside connect without pause, and connections stay open: rules are written again, changed, written
 * wrongly, and their writer is killed at its work. Nothing of what is captured gets past the proxy, and no connection is lost.
 */
const BACKEND: BackendName = 'nft';
const ROUNDS = 30;
const KILLS = 12;
let scene: LoadScene;
let effects: NetnsEffects;

beforeAll(async () => {
  effects = await kernelEffects({ backend: BACKEND });
  scene = await createLoadScene();
});
beforeEach(() => void capture(0));
afterAll(() => scene.close());

describe(`${BACKEND}, under load`, () => {
  it('the same policy, its table written anew each time', async () => {
    const { ruleset } = variant(0);
    const count = await during(async (load) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        replaceTable(ruleset);
        expect(capture(0).action).toBe('kept');
        await load.reached(20 * (round + 1));
      }
    });
    expectNothingLost(count);
  });

  it('another policy each time', async () => {
    const count = await during(async (load) => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        expect(capture(round).action).toBe('applied');
        await load.reached(20 * round);
      }
    });
    expectNothingLost(count);
  });

  it('a policy that the kernel refuses: the one before stays', async () => {
    const count = await during(async (load) => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        expect(() => replaceTable(endless(variant(0).ruleset))).toThrow(
          expect.objectContaining({ code: 'NftRejected' }),
        );
        expect(inspectNetns(scene.lab.pod.path, effects, variant(0).ruleset).drift).toEqual([]);
        await load.reached(20 * round);
      }
    });
    expectNothingLost(count);
  });

  it('a writer that is killed at its work: one policy or the other stands, whole, and the next writer goes on', async () => {
    const count = await during(async (load) => {
      for (let round = 1; round <= KILLS; round += 1) {
        const writer = await startWriter();
        // As much of its work as happens meanwhile: never the same moment.
        for (let turn = 0; turn < 200 * round; turn += 1) await nextTurn();
        writer.kill('SIGKILL');
        await once(writer, 'exit');
        const drifts = [0, 1].map((turn) => inspectNetns(scene.lab.pod.path, effects, variant(turn).ruleset).drift);
        expect(Math.min(...drifts.map(({ length }) => length))).toBe(0);
        await load.reached(20 * round);
      }
    });
    expectNothingLost(count);
    expect(capture(7).action).toBe('applied');
  });
});

it('the witnesses work: without rules, traffic is seen to escape', async () => {
  const count = await during(async (load) => {
    insideNetns(scene.lab.pod.path, () =>
      loadLibnftables().withContext((context) => context.run('delete table inet istio_pod_network_controller\n')),
    );
    await load.reached(50);
  });
  expect(count.escaped).toBeGreaterThan(0);
  expect(count.leaked).toBeGreaterThan(0);
});

function expectNothingLost(count: LoadCount): void {
  process.stdout.write(`${JSON.stringify(count)}\n`);
  expect(count).toMatchObject({ escaped: 0, leaked: 0, failed: {}, stalled: 0 });
  expect(count.connects).toBeGreaterThan(100);
  expect(count.held).toMatchObject({ opened: 16, lost: 0 });
  expect(count.held.roundTrips).toBeGreaterThan(16);
}

async function during(work: (load: RunningLoad) => Promise<void>): Promise<LoadCount> {
  const load = await scene.start();
  await load.reached(20);
  await work(load);
  return load.stop();
}

function capture(turn: number) {
  return captureNetns({ netnsPath: scene.lab.pod.path, podIPs: [], ...variant(turn) }, effects);
}

function replaceTable(ruleset: Ruleset): void {
  insideNetns(scene.lab.pod.path, () => loadLibnftables().withContext((context) => context.run(renderNft(ruleset))));
}

/** Chains that jump to each other without end: nft takes them, the kernel refuses at the end of the transaction. */
function endless(ruleset: Ruleset): Ruleset {
  const chains = ruleset.chains.map((chain) => {
    if (chain.name !== 'redirect_outbound') return chain;
    const jump = { matches: [], verdict: { kind: 'jump', chain: chain.name }, reason: 'endless' } as const;
    return { ...chain, rules: [jump, ...chain.rules] };
  });
  return { ...ruleset, chains };
}

async function startWriter(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('../support/netns-apply-loop.ts', import.meta.url));
  const child = spawn(process.execPath, [script, scene.lab.pod.path, BACKEND], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}
