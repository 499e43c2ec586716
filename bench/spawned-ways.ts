import { spawnSync } from 'node:child_process';
import { renderIptables } from '../src/backend/iptables/render.ts';
import { renderNft } from '../src/backend/nft/render.ts';
import { enterNetns, openNetns } from '../src/netns/netns.ts';
import type { Ruleset } from '../src/ruleset/ruleset.ts';
import { argumentsOf, type Inputs } from '../test/differential/inputs.ts';
import { inFreshNetns, type PodNetns } from './pod-netns.ts';

/** A way to bring the rules of one policy into a netns by starting programs. */
export interface SpawnedWay {
  readonly name: string;
  readonly note: string;
  /** Writes no rules: shows what any program costs. */
  readonly floor: boolean;
  /** Those that this process starts. */
  readonly processes: number;
  /** Throws if a program failed. */
  readonly run: (netns: PodNetns) => void;
}

const TIMEOUT_MS = 60_000;

/** What a program costs that does nothing: a floor under all of these. */
export function floorWays(pilotAgent: string | undefined): readonly SpawnedWay[] {
  const nothing = { ...way('a program that does nothing', 'floor: true', [['true']]), floor: true };
  if (pilotAgent === undefined) return [nothing];
  const idle = [pilotAgent, 'istio-iptables', '--help'] as const;
  const start = way('pilot-agent istio-iptables --help', 'floor: the start of Istio’s tool, no rules', [idle]);
  return [nothing, { ...start, floor: true }];
}

export function ourRulesSpawned(ruleset: Ruleset): readonly SpawnedWay[] {
  const input = renderIptables(ruleset);
  const nft = { argv: ['nft', '-f', '-'], input: renderNft(ruleset) } as const;
  const restore = [
    { argv: ['iptables-restore', '--noflush'], input: input[4] },
    { argv: ['ip6tables-restore', '--noflush'], input: input[6] },
  ] as const;
  return [
    { ...way('nft -f -', 'our rules, no proof', []), processes: 1, run: (netns) => start(netns, [nft]) },
    {
      ...way('iptables-restore', 'our rules, v4 and v6, no proof', []),
      processes: 2,
      run: (netns) => start(netns, restore),
    },
  ];
}

/** Istio's own tool, with the arguments that its injector would give for the same policy. */
export function istioWays(pilotAgent: string, inputs: Inputs): Readonly<Record<'iptables' | 'nft', SpawnedWay>> {
  const argv = [pilotAgent, 'istio-iptables', ...argumentsOf(inputs)] as const;
  return {
    iptables: way('istio-iptables', 'Istio’s tool, dual stack; starts others by itself', [argv]),
    nft: way('istio-iptables --native-nftables', 'Istio’s tool, dual stack; starts others by itself', [
      [...argv, '--native-nftables'],
    ]),
  };
}

/** Istio's rules, each by an `iptables` process of its own: linkerd's way. They are read from a netns that Istio's tool captured. */
export function oneProcessPerRule(istio: SpawnedWay): SpawnedWay {
  const commands = inFreshNetns((netns) => {
    istio.run(netns);
    return inside(netns, () => savedCommands());
  });
  return {
    ...way('one iptables process a rule', 'Istio’s rules, as linkerd’s init writes its own', commands),
    processes: commands.length,
  };
}

function savedCommands(): readonly (readonly [string, ...string[]])[] {
  return (['iptables', 'ip6tables'] as const).flatMap((program) => {
    // Istio's tool chooses for itself which of the two it speaks to.
    const variants = (['nft', 'legacy'] as const).map((variant) => ({
      tool: `${program}-${variant}`,
      saved: spawnSync(`${program}-${variant}-save`, [], { encoding: 'utf8' }).stdout,
    }));
    const used = variants.find(({ saved }) => saved.includes(':ISTIO_'));
    return used === undefined ? [] : commandsOf(used.saved, used.tool);
  });
}

/** The commands that make what `iptables-save` printed. Pure. */
export function commandsOf(saved: string, tool: string): readonly (readonly [string, ...string[]])[] {
  let table = '';
  const commands: (readonly [string, ...string[]])[] = [];
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    const [, own] = /^:(\S+) - /.exec(line) ?? [];
    if (own !== undefined) commands.push([tool, '-t', table, '-N', own]);
    if (line.startsWith('-A ')) commands.push([tool, '-t', table, ...line.trim().split(' ')]);
  }
  return commands;
}

function way(name: string, note: string, commands: readonly (readonly [string, ...string[]])[]): SpawnedWay {
  const run = (netns: PodNetns): void =>
    start(
      netns,
      commands.map((argv) => ({ argv, input: '' })),
    );
  return { name, note, floor: false, processes: commands.length, run };
}

interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly input: string;
}

/** From inside the netns, without nsenter: a millisecond or two in favour of the programs. */
function start(netns: PodNetns, commands: readonly Command[]): void {
  inside(netns, () => {
    for (const { argv, input } of commands) {
      const [program, ...args] = argv;
      const { status, stderr, error } = spawnSync(program, args, { input, timeout: TIMEOUT_MS });
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`${argv.join(' ').slice(0, 200)}: ${stderr.toString().slice(-1_000)}`);
    }
  });
}

function inside<T>({ path }: PodNetns, work: () => T): T {
  const netns = openNetns(path);
  try {
    return enterNetns(netns, work);
  } finally {
    netns.close();
  }
}
