import { flag } from '../config/flag.ts';
import { POLICY_FLAGS } from '../config/flags.ts';
import { GATE_CONTAINER_FLAGS } from '../config/webhook-flags.ts';
import { productVersion } from './version.ts';

const { enroll, excludeNamespaces, sidecarName } = POLICY_FLAGS;

/** What the gate is made of and who gets one, as for the webhook; the image is that of this version. */
export const GATE_POD_FLAGS = {
  ...GATE_CONTAINER_FLAGS,
  gateImage: {
    ...flag({
      name: 'image',
      placeholder: 'IMAGE',
      brief: 'Image of the gate',
      parse: GATE_CONTAINER_FLAGS.gateImage.parse,
      fallback: `docker.io/istio-pod-network-controller/istio-pod-network-controller:${productVersion()}`,
    }),
    // Whoever has a variable IMAGE means something else by it.
    env: GATE_CONTAINER_FLAGS.gateImage.env,
  },
  enroll,
  excludeNamespaces,
  sidecarName,
};
