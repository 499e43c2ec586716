import type { Pod } from '../pod/pod.ts';
import { argumentCarrier } from './istio-arguments.ts';

/** Name of the chart's gate; others are known by what they run. */
const GATE_NAME = 'istio-pod-network-controller-gate';
/** Istio's own check of its CNI plugin's work, which fails until the rules are there. */
const VALIDATION = 'istio-validation';

/** The init container that holds a pod back until it is captured: the gate, or Istio's own check. Undefined: there is none. */
export function gateName(pod: Pod): string | undefined {
  // Written by hand: `args: [init, …]`, or the verb at the end of `command`.
  return (
    certainGate(pod) ?? pod.initContainers.find(({ command, args }) => (args[0] ?? command.at(-1)) === 'init')?.name
  );
}

/**
 * Is this container the gate, or one that kubelet starts only after the gate has opened? Another program may have a verb `init` too, so
 * here that makes no gate.
 */
export function heldByGate(pod: Pod, containerName: string): boolean {
  const gate = certainGate(pod);
  if (gate === undefined) return false;
  const order = pod.initContainers.map(({ name }) => name);
  const at = order.indexOf(containerName);
  return at < 0 || at >= order.indexOf(gate);
}

/** Known by the chart's name for it, or by the arguments of `istio-iptables` that only a gate is handed. */
function certainGate(pod: Pod): string | undefined {
  if (pod.initContainers.some(({ name }) => name === GATE_NAME)) return GATE_NAME;
  const carrier = argumentCarrier(pod)?.container.name;
  return carrier === 'istio-init' ? undefined : carrier;
}

/** May a container of this name be a gate, as far as the name tells? For pods whose containers are not known. */
export function isGateName(containerName: string): boolean {
  return containerName === GATE_NAME || containerName === VALIDATION;
}
