import type { GateSettings } from '../admission/gate-pod.ts';
import type { Values } from '../config/flag.ts';
import type { POLICY_FLAGS } from '../config/flags.ts';
import type { GATE_CONTAINER_FLAGS } from '../config/webhook-flags.ts';

type Flags = Values<typeof GATE_CONTAINER_FLAGS> & Values<Pick<typeof POLICY_FLAGS, 'enroll' | 'sidecarName'>>;

/** What the flags of `webhook` and `gate-pod` make of the gate. */
export function gateSettings(flags: Flags): GateSettings {
  return {
    mode: flags.gateMode,
    nodeSelector: flags.gateNodeSelector,
    name: flags.gateName,
    image: flags.gateImage,
    imagePullPolicy: flags.gateImagePullPolicy,
    args: flags.gateArgs,
    resources: flags.gateResources,
    enroll: flags.enroll,
    sidecarName: flags.sidecarName,
  };
}
