import { parseArgs } from 'node:util';
import { processesOfLab } from './cgroup.ts';
import { loadImage } from './images.ts';
import { LabError, messageOf } from './lab-error.ts';
import { readOwner, refuseOthers, withLock } from './owner.ts';
import { preflight } from './preflight.ts';
import { say, step } from './progress.ts';
import { status } from './status.ts';
import { leftovers, teardown } from './teardown.ts';
import { up } from './up.ts';

const USAGE = `usage: node lab/main.ts COMMAND
  up [--istio-cni] [--image FILE]…   start the lab, or what of it does not run; load the images
  load FILE…                         load OCI archives into the lab's containerd
  status                             what of the lab runs; exit 1 if not all of it
  down                               end the lab and leave nothing behind
`;

async function main(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === 'up') return upCommand(rest);
  if (verb === 'down' && rest.length === 0) return downCommand();
  if (verb === 'load' && rest.length > 0) return loadCommand(rest);
  if (verb === 'status' && rest.length === 0) return (await status()) ? 0 : 1;
  process.stderr.write(USAGE);
  return 1;
}

async function upCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { 'istio-cni': { type: 'boolean' }, image: { type: 'string', multiple: true } },
  });
  const mode = values['istio-cni'] === true ? 'istio-cni' : 'istio-init';
  await preflight({});
  await withLock('up', () => up({ mode, images: values.image ?? [] }));
  return 0;
}

async function downCommand(): Promise<number> {
  await preflight({});
  await withLock('down', async () => {
    const owner = readOwner();
    refuseOthers(owner, processesOfLab().length > 0, 'down');
    if (owner === undefined && (await leftovers()).length === 0) return say('no lab on this machine');
    await teardown(owner);
    return say('the lab is down');
  });
  return 0;
}

async function loadCommand(archives: readonly string[]): Promise<number> {
  await withLock('load', async () => {
    for (const archive of archives) await step(`loading ${archive}`, () => loadImage(archive));
  });
  return 0;
}

// Someone who reads only the first lines (`| head`) has read enough.
process.stdout.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = 2;
}
