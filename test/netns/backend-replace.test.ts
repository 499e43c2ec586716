import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { BACKEND_NAMES } from '../../src/backend/backend.ts';
import { variant } from '../support/netns-apply-loop.ts';
import { createLoadScene, type LoadScene } from '../support/netns-load-client.ts';

/** The fallbacks replace rules under load: nothing gets past the proxy, no connection is lost. atomicity.test.ts has more of this for nft. */
const ROUNDS = 20;
const KILLS = 10;
const WRITER = fileURLToPath(new URL('../support/netns-apply-loop.ts', import.meta.url));

describe.each(BACKEND_NAMES.filter((name) => name !== 'nft'))('%s, under load', (backend) => {
  let effects: NetnsEffects;
  let scene: LoadScene;
  beforeAll(async () => {
    effects = await kernelEffects({ backend });
    scene = await createLoadScene();
  });
  afterAll(() => scene.close());

  function capture(turn: number) {
    return captureNetns({ netnsPath: scene.lab.pod.path, podIPs: [], ...variant(turn), probes: [] }, effects);
  }

  it('another policy each time', async () => {
    expect(capture(0)).toMatchObject({ action: 'applied', backend });
    const load = await scene.start();
    for (let round = 1; round <= ROUNDS; round += 1) {
      expect(capture(round).action).toBe('applied');
      await load.reached(20 * round);
    }
    const count = await load.stop();
    process.stdout.write(`${backend}: ${ROUNDS} replacements, ${JSON.stringify(count)}\n`);
    expect(count).toMatchObject({ escaped: 0, leaked: 0, failed: {} });
    expect(count.connects).toBeGreaterThan(100);
    expect(count.held).toMatchObject({ opened: 16, lost: 0 });
  });

  it('a writer that is killed at its work, with the program it started: the next one goes on', async () => {
    capture(0);
    const load = await scene.start();
    for (let round = 1; round <= KILLS; round += 1) {
      // A process group of its own, so that the program dies with it, as in a container.
      const writer = spawn(process.execPath, [WRITER, scene.lab.pod.path, backend], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        detached: true,
      });
      await once(writer, 'message');
      // Never the same moment of its work.
      await pause(13 * round);
      process.kill(-(writer.pid ?? Number.NaN), 'SIGKILL');
      await once(writer, 'exit');
      expect(['applied', 'remarked']).toContain(capture(1 + round).action);
      expect(capture(1 + round).action).toBe('kept');
      await load.reached(20 * round);
    }
    const count = await load.stop();
    process.stdout.write(`${backend}: ${KILLS} kills, ${JSON.stringify(count)}\n`);
    expect(count).toMatchObject({ escaped: 0, leaked: 0, failed: {} });
    expect(count.held).toMatchObject({ opened: 16, lost: 0 });
  });
});
