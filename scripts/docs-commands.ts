import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

/** What the documents show: every pod of examples/, and the ways a packet can go. */
const SHOWN: readonly (readonly string[])[] = [
  ['explain', '-f', 'examples/pod.yaml'],
  ['trace', '-f', 'examples/pod.yaml', '--from', 'app', '--to', 'tcp://10.0.0.5:443'],
  ['trace', '-f', 'examples/pod.yaml', '--from', 'proxy', '--to', 'tcp://10.0.0.5:443'],
  ['trace', '-f', 'examples/pod.yaml', '--from', 'outside', '--to', 'tcp://pod:9080'],
  ['trace', '-f', 'examples/pod.yaml', '--from', 'app', '--to', 'tcp://localhost:9080'],
  ['explain', '-f', 'examples/pod-tproxy-dns.yaml'],
  ['trace', '-f', 'examples/pod-tproxy-dns.yaml', '--from', 'outside', '--to', 'tcp://pod:9080'],
  ['trace', '-f', 'examples/pod-tproxy-dns.yaml', '--from', 'app', '--to', 'udp://10.96.0.10:53'],
  ['explain', '-f', 'examples/opted-out.yaml', '-n', 'examples/namespace.yaml'],
  [
    'trace',
    '-f',
    'examples/opted-out.yaml',
    '-n',
    'examples/namespace.yaml',
    '--from',
    'app',
    '--to',
    'tcp://10.0.0.5:443',
  ],
  ['explain', '-f', 'examples/bookinfo.yaml'],
  ['trace', '-f', 'examples/bookinfo.yaml', '--from', 'app', '--to', 'tcp://10.0.0.5:9080'],
];

/** The commands and what they print now, as Markdown. */
export function commandOutputs(): string {
  return SHOWN.map((argv) => {
    const shown = `istio-pod-network-controller ${argv.join(' ')}`;
    return ['```console', `$ ${shown}`, outputOf(argv).trimEnd(), '```'].join('\n');
  }).join('\n\n');
}

function outputOf(argv: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'src/main.ts'), ...argv], {
    cwd: root,
    encoding: 'utf8',
    // No variable of whoever writes the documents may change what they say.
    env: { PATH: process.env['PATH'] ?? '' },
    timeout: 20_000,
  });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
  return stdout;
}
