import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { unpackImage } from '../image/check.ts';
import { hostArch } from '../image/platform.ts';
import { asList, asString } from '../src/admission/json.ts';
import { readyMark } from '../src/netns/mark-text.ts';
import { type Cost, costOf, costOfFirstLook, type FirstLook, makeFifo } from './child-cost.ts';
import { spread } from './spread.ts';

/**
 * What a gate costs that finds its pod captured: in the root filesystem of the image, as its user, with its entry point, beside nothing at
 * all on the same Node, alternating in one run. What the container runtime adds is not in it. Needs root, and `make image`.
 *   node bench/gate-start.ts [ARCHIVE…]      another archive, of an earlier commit, is measured beside
 */
const ROUNDS = 30;
const root = resolve(import.meta.dirname, '..');
const given = process.argv.slice(2);
const archives = given.length > 0 ? given : [join(root, 'dist', `istio-pod-network-controller-${hostArch()}.oci.tar`)];
const MARK = `${readyMark('0123456789abcdef')}\n`;

interface Subject {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** Undefined: it looks at nothing. */
  readonly look: { readonly argv: readonly string[]; readonly fifo: string } | undefined;
  readonly costs: Cost[];
  readonly looks: FirstLook[];
}

const folder = mkdtempSync(join(tmpdir(), 'bench-gate-'));
try {
  const subjects = (await Promise.all(archives.map(subjectsOf))).flat();
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const { env, argv, look, costs, looks } of subjects) {
      const cost = await costOf(argv, env);
      const first = look && (await costOfFirstLook(look.argv, { env, fifo: look.fifo, text: MARK }));
      // The first round reads files into the page cache.
      if (round === 0) continue;
      costs.push(cost);
      if (first !== undefined) looks.push(first);
    }
  }
  process.stdout.write(`${ROUNDS} rounds, alternating\n`);
  for (const subject of subjects) print(subject);
} finally {
  rmSync(folder, { recursive: true });
}

async function subjectsOf(archive: string, index: number): Promise<readonly Subject[]> {
  const place = join(folder, String(index));
  mkdirSync(place);
  const { root: image, config } = await unpackImage(archive, place);
  const env = Object.fromEntries(asList(config.Env).map((word) => asString(word).split(/=(.*)/s).slice(0, 2)));
  const entry = asList(config.Entrypoint).map(asString);
  const inImage = (...argv: string[]) => ['chroot', `--userspec=${asString(config.User)}`, image, ...argv];
  const gate = (file: string) => inImage(...entry, 'init', '--gate=mark', `--mark-file=${file}`);
  const fifo = join(image, 'tmp/fifo');
  makeFifo(fifo);
  writeFileSync(join(image, 'tmp/mark'), MARK);
  const common = { env, costs: [], looks: [] };
  const bare = { ...common, name: 'node -e 0', argv: inImage(entry[0] ?? '', '-e', '0'), look: undefined };
  const look = { argv: gate('/tmp/fifo'), fifo };
  const ours = { ...common, costs: [], looks: [], name: `the gate of ${archive}`, argv: gate('/tmp/mark'), look };
  return index === 0 ? [bare, ours] : [ours];
}

function print({ name, costs, looks }: Subject): void {
  const wall = spread(costs.map(({ wallMs }) => wallMs));
  const cpu = spread(costs.map(({ cpuMs }) => cpuMs));
  process.stdout.write(`${name}\n`);
  process.stdout.write(
    `  start to exit  wall p50 ${ms(wall.p50)} p90 ${ms(wall.p90)}  CPU p50 ${ms(cpu.p50)} p90 ${ms(cpu.p90)} ms\n`,
  );
  if (looks.length === 0) return;
  const at = (part: keyof FirstLook) => spread(looks.map((one) => one[part]));
  process.stdout.write(
    `  start to first look at the mark  wall p50 ${ms(at('wallMs').p50)} p90 ${ms(at('wallMs').p90)}  CPU p50 ${ms(at('cpuMs').p50)} ms  ` +
      `RSS ${ms(at('rssMiB').p50)} MiB, ${ms(at('ownMiB').p50)} of it its own  read ${ms(at('readKiB').p50)} KiB\n`,
  );
}

function ms(value: number): string {
  return value.toFixed(1);
}
