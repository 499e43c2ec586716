import { type EnvironmentName, ENVIRONMENTS } from './cluster/environment.ts';
import type { PodKind } from './cluster/start-pods.ts';
import type { Context } from './question.ts';
import type { Ratio, Result, Series, Table, Target } from './result.ts';
import { spread } from './spread.ts';

const MESH_NAMES: Readonly<Record<EnvironmentName, string>> = {
  'istio-init': 'istio-init',
  'istio-cni': 'istio-cni',
  CRI: 'ours, CRI and gate',
  NRI: 'ours, NRI and gate',
  gateless: 'ours, gateless',
};

/** By name of the series: starts of pods, and what our agent took inside their netns. */
export type Samples = ReadonlyMap<string, number[]>;

export function startResult(
  ctx: Context,
  {
    blocks,
    samples,
    facts,
  }: { readonly blocks: readonly EnvironmentName[]; readonly samples: Samples; readonly facts: Result['facts'] },
): Result {
  return ctx.result({
    slug: 'pod-start',
    title: 'Pod created → first instruction of the application container, a real cluster',
    unit: 'ms',
    series: seriesOf(samples),
    facts: {
      ...facts,
      creation: "the client's clock before the request",
      start: "the application's own clock at its first instruction, Go's runtime included; the same machine",
      floor:
        'injected, interceptionMode NONE: a sidecar, no init container but it, nothing captures; istio-cni refuses such pods',
      order: `${blocks.join(', ')}, then back`,
      ...p90Facts(blocks, samples),
      gateless:
        "gate.mode=runtime: the runtime's validator holds pods back, the agent captures them in the runtime's hook",
    },
    ratios: ratios(blocks),
    targets: targets(blocks),
    tables: [table(blocks, samples)],
  });
}

/** The same pods, seen from the agent: what it does while a pod waits. */
export function captureResult(ctx: Context, captures: Samples): Result {
  const series = seriesOf(captures);
  return ctx.result({
    slug: 'capture',
    title: "Inside a new pod's netns on a live cluster: rules, read back, proof, mark",
    unit: 'ms',
    series,
    facts: { measured: 'by the agent, in its report on each pod; one pod every few seconds' },
    targets: series.map(({ name }) => ({ what: `rules into a live pod, ${name}`, series: name, at: 'p50', atMost: 2 })),
  });
}

function seriesOf(samples: Samples): readonly Series[] {
  return [...samples].map(([name, values]) => ({ name, values })).filter(({ values }) => values.length > 0);
}

/** A page's ratios are of medians; those of the slowest tenth stand beside them. */
function p90Facts(blocks: readonly EnvironmentName[], samples: Samples): Readonly<Record<string, number>> {
  const p90 = (name: string) => spread(samples.get(name) ?? []).p90;
  const facts = ratios(blocks).map(({ label, of, over }) => [p90Label(label), p90(of) / p90(over)]);
  return Object.fromEntries(facts);
}

function p90Label(label: string): string {
  return `${label}, at p90`;
}

/** A captured pod starts as the floor does, and a pod that is not ours as on a node without us. */
function targets(blocks: readonly EnvironmentName[]): readonly Target[] {
  const ours = ratios(blocks.filter((block) => block === 'istio-init' || isOurs(block)));
  return ours
    .filter(({ of }) => of !== MESH_NAMES['istio-init'])
    .flatMap(({ label }) => [
      { what: `${label}, at p50`, ratio: label, atMost: 1.05 },
      { what: p90Label(label), fact: p90Label(label), atMost: 1.05 },
    ]);
}

/** Each mesh pod over the floor of its own block, and a plain pod over one on a node that has nothing but a CNI bridge. */
function ratios(blocks: readonly EnvironmentName[]): readonly Ratio[] {
  const meshed = blocks.map((block) => ({
    label: `${MESH_NAMES[block]} over the floor`,
    of: nameOf('mesh', block),
    over: floorFor(block),
  }));
  const others = blocks.filter((block) => block !== 'istio-init');
  const plain = others.map((block) => ({
    label: `${nameOf('plain', block)} over no mesh (istio-init)`,
    of: nameOf('plain', block),
    over: nameOf('plain', 'istio-init'),
  }));
  return [...meshed, ...plain];
}

function table(blocks: readonly EnvironmentName[], samples: Samples): Table {
  const rows = blocks.flatMap((block) =>
    kindsIn(block).map((kind) => {
      const { count: n, p50, p90, p99 } = spread(samples.get(nameOf(kind, block)) ?? []);
      const floor = spread(samples.get(floorFor(block)) ?? []);
      const overFloor =
        kind === 'mesh' ? [p50 / floor.p50, p90 / floor.p90].map((share) => share.toFixed(3)) : ['', ''];
      return [nameOf(kind, block), n, p50, p90, p99, ...overFloor];
    }),
  );
  const columns = ['pod', 'n', 'p50 ms', 'p90 ms', 'p99 ms', 'over its floor at p50', 'at p90'];
  return {
    title:
      'Each beside the floor of its own block, or, where there can be none, of the block with istio-init; with fewer than 100 pods p99 is the slowest one',
    columns,
    rows,
  };
}

/** Istio's plugin refuses interceptionMode NONE, and with it the sandbox: on its node there is no floor. */
export function kindsIn(block: EnvironmentName): readonly PodKind[] {
  return block === 'istio-cni' ? ['plain', 'mesh'] : ['plain', 'floor', 'mesh'];
}

/** The name of the series that a block's mesh pods are compared with. */
function floorFor(block: EnvironmentName): string {
  return nameOf('floor', kindsIn(block).includes('floor') ? block : 'istio-init');
}

export function isOurs(block: EnvironmentName): boolean {
  return ENVIRONMENTS[block].ours !== 'away';
}

export function captureName(block: EnvironmentName): string {
  return block === 'gateless' ? 'learned of by NRI, without a gate' : `learned of by ${block}`;
}

export function nameOf(kind: PodKind, block: EnvironmentName): string {
  if (kind === 'mesh') return MESH_NAMES[block];
  const nodeHas = isOurs(block) ? `ours, ${block}` : block;
  return `${kind === 'plain' ? 'no mesh' : 'floor'} (${nodeHas})`;
}
