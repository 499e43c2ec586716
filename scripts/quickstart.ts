import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureEnvoy, envoyIsCached, ENVOY_PACKAGES } from '../lab/envoy.ts';
import { LabError, messageOf } from '../lab/lab-error.ts';
import { NETNS_PACKAGES, preflight } from '../lab/preflight.ts';
import { claim, ClaimFailed, note, prompt, seconds, title } from './presentation.ts';
import { inside, leftovers, nameWorld, type PodLike, remains, removeWorld, USERS } from './quickstart/pod-like.ts';
import { buildProduct, MANIFEST } from './quickstart/product.ts';
import { play } from './quickstart/scenes.ts';
import { fillStage, placeProgram } from './quickstart/stage.ts';

/**
 * `make quickstart`: one pod-like netns, the real Envoy in it, and everything the product does to it, shown and checked. No cluster.
 *   --keep       leaves it standing, for looking around; the next quickstart, or --remove, takes it away
 *   --remove     only removes what earlier ones left
 *   --built      bin/ is up to date already
 * Exit codes: 0 all claims hold, 1 one does not, or bad usage, 2 could not do it, 130 and 143 ended by a signal.
 */
const MIB = 1024 ** 2;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

async function main(argv: readonly string[]): Promise<number> {
  const { keep, remove, built } = parseArgs({
    args: [...argv],
    options: { keep: { type: 'boolean' }, remove: { type: 'boolean' }, built: { type: 'boolean' } },
  }).values;
  const beganMs = performance.now();
  await prepareMachine();
  for (const old of leftovers()) removeWorld(old);
  if (remove === true) return 0;
  const world = nameWorld();
  let standing = true;
  // Also after an exception nobody foresaw; removing is synchronous.
  process.on('exit', () => {
    if (standing) removeWorld(world);
  });
  // Begins while the first scenes are shown.
  const envoy = ensureEnvoy();
  const fetched = envoy.then(
    () => undefined,
    () => undefined,
  );
  endOnSignal(world, fetched);
  await show(world, { built: built === true, envoy });
  if (keep === true) lookAround(world);
  else tidyUp(world);
  standing = false;
  note(`quickstart: every claim holds (${seconds(performance.now() - beganMs)})`);
  return 0;
}

async function prepareMachine(): Promise<void> {
  const cached = envoyIsCached();
  if (!existsSync('/proc/net/if_inet6')) {
    throw new LabError('this machine has no IPv6, and half of what is shown here is about it', {
      hint: 'Boot without ipv6.disable=1. The product itself also works on nodes without IPv6.',
    });
  }
  await preflight({
    packages: [...NETNS_PACKAGES, ...(cached ? [] : ENVOY_PACKAGES)],
    freeDisk: [{ path: '/tmp', bytes: 512 * MIB }],
    freeMemoryBytes: 512 * MIB,
    registries: cached ? [] : ['pypi'],
  });
}

async function show(
  world: PodLike,
  options: { readonly built: boolean; readonly envoy: Promise<string> },
): Promise<void> {
  if (!options.built) await buildProduct();
  fillStage(world.stage);
  await play(world, async () => placeProgram(await options.envoy, world.stage.envoy));
}

function tidyUp(world: PodLike): void {
  title('Tidying up');
  removeWorld(world);
  const left = remains(world);
  claim('both network namespaces and everything that ran in them are gone', left.length === 0, left.join(', '));
}

function lookAround({ pod, outside, stage }: PodLike): void {
  title('It is left standing. Look around');
  prompt(`bin/istio-pod-network-controller apply -f ${MANIFEST} --netns /run/netns/${pod}`);
  prompt(`ip netns exec ${pod} nft list ruleset`);
  const application = inside({ netns: pod, uid: USERS.application }, [stage.node, stage.actor, 'get']);
  prompt(`${application.join(' ')} http://192.0.2.80:8080/`);
  prompt(`ip netns exec ${outside} ${stage.node} ${stage.actor} get http://198.51.100.10:9080/`);
  prompt(`tail -f ${stage.logs}/envoy`);
  note('The next quickstart removes it, and so does: node scripts/quickstart.ts --remove');
}

/** On a signal everything that was made is removed; a download under way gets a moment to tidy up after itself. */
function endOnSignal(world: PodLike, fetched: Promise<void>): void {
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => {
      removeWorld(world);
      process.stderr.write(`\n${signal}: everything that was made is removed\n`);
      void Promise.race([fetched, delay(1_000)]).then(() => process.exit(code));
    });
  }
}

// Someone who reads only the first lines (`| head`) has read enough.
process.stdout.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error: unknown) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  process.exitCode = usage || error instanceof ClaimFailed ? 1 : 2;
}
