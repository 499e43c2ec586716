import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { resetIstio } from '../../lab/istio.ts';
import type { IstioMode } from '../../lab/istio-mode.ts';
import { readOwner } from '../../lab/owner.ts';
import { cachedParts } from '../../lab/parts.ts';
import { CHART, template } from '../../test/support/chart.ts';
import { at, kubectl, waitFor } from '../../test/support/cluster.ts';
import { type Agent, agentAway, agentMayReturn, metricsOf, readyAgent } from '../../test/support/cluster-agent.ts';
import { installAgain, removeProduct, rolledOut } from '../../test/support/cluster-install.ts';

/** What is on the node while a block is measured: how Istio captures, and how our agent learns of sandboxes, or that it is away. */
export const ENVIRONMENTS = {
  'istio-init': { istio: 'istio-init', ours: 'away' },
  'istio-cni': { istio: 'istio-cni-plugin', ours: 'away' },
  CRI: { istio: 'istio-init', ours: 'off' },
  NRI: { istio: 'istio-init', ours: 'auto' },
} as const satisfies Readonly<Record<string, { readonly istio: IstioMode; readonly ours: 'away' | 'off' | 'auto' }>>;
export type EnvironmentName = keyof typeof ENVIRONMENTS;

/** Chart values under which pods written by hand reach the node as they are, with a gate or without. */
export const NO_CARRIER = ['gate.carrier=none', 'policies.gate=false'] as const;

/** Brings the cluster from one environment to the next, and back to what it was. */
export interface Stage {
  enter(name: EnvironmentName): Promise<void>;
  /** What every other test and measurement expects. */
  restore(): Promise<void>;
}

/** `values` of our chart hold in every environment; with any, the product is installed from nothing. */
export function createStage(values: readonly string[] = []): Stage {
  const before = requireOwner();
  let istio: IstioMode = before.mode;
  let installed = values.length === 0;

  async function useIstio(mode: IstioMode): Promise<void> {
    if (mode === istio) return;
    await resetIstio(cachedParts(before.kubernetes), mode);
    istio = mode;
  }

  async function useOurs(nri: 'off' | 'auto'): Promise<void> {
    if (!installed) await removeProduct();
    installed = true;
    const set = chartHasNri() ? [...values, `agent.nri=${nri}`] : values;
    await kubectl(['apply', '-f', '-'], { input: await template(set.flatMap((value) => ['--set', value])) });
    await agentMayReturn();
    await rolledOut();
    const agent = await readyAgent();
    if (nri === 'auto') await connectedByNri(agent);
  }

  return {
    enter: async (name) => {
      const { istio: mode, ours } = ENVIRONMENTS[name];
      if (ours === 'auto' && !chartHasNri()) throw new Error('this chart knows no NRI');
      await useIstio(mode);
      if (ours === 'away') await agentAway();
      else await useOurs(ours);
    },
    restore: async () => {
      await useIstio(before.mode);
      if (values.length > 0) await removeProduct();
      await installAgain();
      await agentMayReturn();
      await readyAgent();
    },
  };
}

/** The environments that this checkout can bring about. */
export function reachable(names: readonly EnvironmentName[]): readonly EnvironmentName[] {
  return names.filter((name) => ENVIRONMENTS[name].ours !== 'auto' || chartHasNri());
}

/** An agent is Ready without the runtime's hooks, too: what would be measured then is CRI. */
async function connectedByNri(agent: Agent): Promise<void> {
  await waitFor('the runtime calls the agent', async () => (await metricsOf(agent)).sum('nri_connected') === 1, {
    timeoutMs: 30_000,
  });
}

function chartHasNri(): boolean {
  return at(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')), 'agent', 'nri') !== undefined;
}

function requireOwner(): NonNullable<ReturnType<typeof readOwner>> {
  const owner = readOwner();
  if (owner === undefined) throw new Error('no lab runs on this machine: node scripts/test-lab.ts');
  return owner;
}
