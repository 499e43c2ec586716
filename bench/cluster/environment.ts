import { resetIstio } from '../../lab/istio.ts';
import type { IstioMode } from '../../lab/istio-mode.ts';
import { readOwner } from '../../lab/owner.ts';
import { cachedParts } from '../../lab/parts.ts';
import { network } from '../../lab/paths.ts';
import type { GateMode } from '../../src/admission/pod-change.ts';
import { template } from '../../test/support/chart.ts';
import { kubectl } from '../../test/support/cluster.ts';
import { agentAway, agentMayReturn, connectedAgent, readyAgent } from '../../test/support/cluster-agent.ts';
import { installAgain, removeProduct, rolledOut } from '../../test/support/cluster-install.ts';
import { installedCarrier, useCarrier } from '../../test/support/gate-carriers.ts';

/** What is on the node while a block is measured: how Istio captures, how our agent learns of sandboxes, and what holds pods back until then. */
interface Environment {
  readonly istio: IstioMode;
  /** The agent's NRI, or no agent. */
  readonly ours: 'away' | 'off' | 'auto';
  readonly gate: GateMode;
}

export type EnvironmentName = 'istio-init' | 'istio-cni' | 'CRI' | 'NRI' | 'gateless';
export const ENVIRONMENTS: Readonly<Record<EnvironmentName, Environment>> = {
  'istio-init': { istio: 'istio-init', ours: 'away', gate: 'container' },
  'istio-cni': { istio: 'istio-cni-plugin', ours: 'away', gate: 'container' },
  CRI: { istio: 'istio-init', ours: 'off', gate: 'container' },
  NRI: { istio: 'istio-init', ours: 'auto', gate: 'container' },
  gateless: { istio: 'istio-init', ours: 'auto', gate: 'runtime' },
};

/** By it people say that a node's runtime has the validator, as the lab's has; pods without a gate go nowhere else. */
const VALIDATOR_LABEL = 'pod-network-controller.istio.io/nri-validator';

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
  let gate: GateMode = 'container';
  let installed = values.length === 0;

  async function useIstio(mode: IstioMode): Promise<void> {
    if (mode === istio) return;
    await resetIstio(cachedParts(before.kubernetes), mode);
    istio = mode;
  }

  async function useOurs({ ours, gate: wanted }: Environment): Promise<void> {
    if (!installed) await removeProduct();
    installed = true;
    const set = [...values, `agent.nri=${ours}`, `gate.mode=${wanted}`];
    await kubectl(['apply', '-f', '-'], { input: await template(set.flatMap((value) => ['--set', value])) });
    await agentMayReturn();
    await rolledOut();
    await useGate(wanted);
    // What would be measured else is CRI.
    await (ours === 'auto' ? connectedAgent({ timeoutMs: 30_000 }) : readyAgent());
  }

  /** To apply a chart leaves what only the other mode has; and the API server learns of the new one a moment later. */
  async function useGate(mode: GateMode): Promise<void> {
    if (mode === gate) return;
    // At once, so that what fails half-way is put back, too.
    gate = mode;
    await useCarrier(await installedCarrier(), mode);
    const change = mode === 'runtime' ? `${VALIDATOR_LABEL}=true` : `${VALIDATOR_LABEL}-`;
    await kubectl(['label', '--overwrite', 'node', network.nodeName, change]);
  }

  return {
    enter: async (name) => {
      const environment = ENVIRONMENTS[name];
      await useIstio(environment.istio);
      if (environment.ours === 'away') await agentAway();
      else await useOurs(environment);
    },
    restore: async () => {
      await useIstio(before.mode);
      if (values.length > 0) await removeProduct();
      await installAgain();
      await agentMayReturn();
      await useGate('container');
      await readyAgent();
    },
  };
}

function requireOwner(): NonNullable<ReturnType<typeof readOwner>> {
  const owner = readOwner();
  if (owner === undefined) throw new Error('no lab runs on this machine: node scripts/test-lab.ts');
  return owner;
}
