import { parseArgs } from 'node:util';
import { fuzz } from './fuzz/fuzz.ts';

/** `make fuzz`: hostile values for every annotation, argument and variable a pod can bring. Exit 1 if one gets through or breaks us. */
const { values } = parseArgs({
  options: {
    values: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const startedMs = Date.now();
let saidMs = startedMs;
const result = fuzz({
  values: Number(values.values),
  seed: Number(values.seed),
  onProgress: (done) => {
    if (Date.now() - saidMs < 2_000) return;
    saidMs = Date.now();
    process.stderr.write(`${done} values\n`);
  },
});
for (const finding of result.findings)
  process.stdout.write(`FOUND ${finding.what}: ${JSON.stringify(finding.input)}: ${finding.detail}\n`);
process.stdout.write(
  [
    `seed ${values.seed}`,
    `${result.tried} values tried`,
    `${result.accepted} accepted`,
    `${result.refused} refused`,
    `${result.slowestMs.toFixed(1)} ms the slowest`,
    `${result.findings.length} crashed, hung or reached a backend unparsed`,
    `${((Date.now() - startedMs) / 1000).toFixed(0)} s`,
  ].join(', ') + '\n',
);
process.exitCode = result.findings.length === 0 ? 0 : 1;
