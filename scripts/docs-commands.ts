import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

interface Section {
  readonly heading: string;
  /** What the reader is about to see, one paragraph per line. */
  readonly text: readonly string[];
  /** Each after the program's name. */
  readonly commands: readonly string[];
}

/** What the documents show: every pod of examples/, and the ways a packet can go. */
const SECTIONS: readonly Section[] = [
  {
    heading: 'A mesh pod',
    text: ['Istio has injected the proxy, and the gate carries the settings that Istio resolved for this pod.'],
    commands: ['explain -f examples/pod.yaml'],
  },
  {
    heading: 'The application calls a service',
    text: ['Each rule has two lines: its place, the setting it is there for and what it does; then the rule itself.'],
    commands: ['trace -f examples/pod.yaml --from app --to tcp://10.0.0.5:443'],
  },
  {
    heading: 'The proxy sends it on',
    text: ['Its own traffic is known by its uid and gid, and let go; captured, it would come back to itself for ever.'],
    commands: ['trace -f examples/pod.yaml --from proxy --to tcp://10.0.0.5:443'],
  },
  {
    heading: 'Somebody calls the pod',
    text: [],
    commands: [
      'trace -f examples/pod.yaml --from outside --to tcp://pod:9080',
      'trace -f examples/pod.yaml --from outside --to tcp://pod6:15021',
    ],
  },
  {
    heading: 'What is not captured',
    text: [
      'Within the pod, processes talk to each other directly. Of UDP nothing is captured here. A process that runs under an id of the proxy gets past it.',
    ],
    commands: [
      'trace -f examples/pod.yaml --from app --to tcp://localhost:9080',
      'trace -f examples/pod.yaml --from app --to udp://10.96.0.10:53',
      'trace -f examples/pod.yaml --from app --uid 1337 --to tcp://10.0.0.5:443',
    ],
  },
  {
    heading: 'Why a rule does not apply',
    text: [
      '`--rules all` also shows the rules that were asked and do not apply, each with the first part that is not true of the packet.',
    ],
    commands: ['trace -f examples/pod-host-users.yaml --from app --to tcp://[2001:db8::5]:443 --rules all'],
  },
  {
    heading: 'A pod with exclusions, in a user namespace of its own',
    text: ['Written by hand: where the gate carries no arguments of Istio, the annotations speak.'],
    commands: [
      'explain -f examples/pod-host-users.yaml',
      'trace -f examples/pod-host-users.yaml --from app --to tcp://10.0.0.9:5432',
      'trace -f examples/pod-host-users.yaml --from outside --to tcp://pod:9080',
    ],
  },
  {
    heading: 'TPROXY and DNS capture',
    text: [
      'With TPROXY a connection from outside reaches the proxy with the addresses it was sent with. With DNS capture the proxy answers names.',
    ],
    commands: [
      'explain -f examples/pod-tproxy-dns.yaml',
      'trace -f examples/pod-tproxy-dns.yaml --from outside --to tcp://pod:9080',
      'trace -f examples/pod-tproxy-dns.yaml --from app --to udp://10.96.0.10:53',
      'trace -f examples/pod-tproxy-dns.yaml --from proxy --to udp://10.96.0.10:53',
    ],
  },
  {
    heading: 'A pod that does not take part',
    text: ['`-n` names the Namespace the pod is judged with.'],
    commands: [
      'explain -f examples/opted-out.yaml -n examples/namespace.yaml',
      'trace -f examples/opted-out.yaml -n examples/namespace.yaml --from app --to tcp://10.0.0.5:443',
    ],
  },
  {
    heading: 'Manifests before Istio has injected them',
    text: [
      'A file may hold Deployments and other things with a pod template, and many of them. Objects that name no namespace are in that of `-n`.',
    ],
    commands: [
      'explain -f examples/bookinfo.yaml -n examples/namespace.yaml',
      'trace -f examples/bookinfo.yaml -n examples/namespace.yaml --from app --to tcp://10.0.0.5:9080',
    ],
  },
];

/** The commands and what they print now, as Markdown. */
export function commandOutputs(): string {
  const commands = SECTIONS.flatMap((section) => section.commands);
  const outputs = outputsOf(commands);
  const shown = (command: string) => {
    const output = outputs[commands.indexOf(command)] ?? '';
    return ['```console', `$ istio-pod-network-controller ${command}`, output.trimEnd(), '```'].join('\n');
  };
  return SECTIONS.flatMap((section) => [`## ${section.heading}`, ...section.text, ...section.commands.map(shown)]).join(
    '\n\n',
  );
}

/** All in one process: most of the time of a command is that of its start. */
function outputsOf(commands: readonly string[]): readonly string[] {
  const script = `
    const { runCommand } = await import(${JSON.stringify(join(root, 'src/commands/application.ts'))});
    for (const command of ${JSON.stringify(commands)}) {
      const code = await runCommand(command.split(' '));
      if (code !== 0) throw new Error(command + ' ends with ' + code);
      process.stdout.write('${END_OF_OUTPUT}');
    }`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    encoding: 'utf8',
    // No variable of whoever writes the documents may change what they say.
    env: { PATH: process.env['PATH'] ?? '' },
    timeout: 60_000,
  });
  if (status !== 0) throw new Error(`the commands of docs/command-line.md: ${stderr}`);
  return stdout.split(END_OF_OUTPUT);
}

const END_OF_OUTPUT = '\u001c';
