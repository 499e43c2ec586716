import { flag } from './flag.ts';
import { POLICY_FLAGS, RUN_FLAGS } from './flags.ts';
import { absolutePathOrEmpty, kubernetesName, oneOf, wholeNumber } from './values.ts';

const DAY_SECONDS = 86_400;

/** What the gate's container is made of. */
export const GATE_CONTAINER_FLAGS = {
  gateMode: flag({
    name: 'gate-mode',
    placeholder: 'MODE',
    brief:
      'What holds a pod back until it is captured. container: an init container, the gate. runtime: the container runtime, whose NRI default validator must be switched on',
    parse: oneOf(['container', 'runtime'] as const),
    fallback: 'container',
  }),
  gateNodeSelector: flag({
    name: 'gate-node-selector',
    placeholder: 'JSON',
    brief: 'With --gate-mode=runtime: the labels a node must have for such a pod, as a JSON object of strings',
    parse: jsonTexts,
    fallback: '{"pod-network-controller.istio.io/nri-validator":"true"}',
  }),
  gateName: flag({
    name: 'gate-name',
    placeholder: 'NAME',
    brief: "Name of the gate's container",
    parse: kubernetesName,
    fallback: 'istio-pod-network-controller-gate',
  }),
  gateImage: flag({
    name: 'gate-image',
    placeholder: 'IMAGE',
    brief: 'Image of the gate: this same one',
    parse: notEmpty,
    fallback: undefined,
  }),
  gateImagePullPolicy: flag({
    name: 'gate-image-pull-policy',
    placeholder: 'POLICY',
    brief: 'Always, IfNotPresent or Never',
    parse: oneOf(['Always', 'IfNotPresent', 'Never'] as const),
    fallback: 'IfNotPresent',
  }),
  gateArgs: flag({
    name: 'gate-args',
    placeholder: 'JSON',
    brief: 'Arguments of init, as a JSON list of strings',
    parse: jsonStrings,
    fallback: '["--timeout=300"]',
  }),
  gateResources: flag({
    name: 'gate-resources',
    placeholder: 'JSON',
    brief: 'Resources of the gate where the container it replaces names none, as a JSON object',
    parse: jsonObject,
    fallback: '{"requests":{"cpu":"10m","memory":"64Mi"},"limits":{"cpu":"1","memory":"128Mi"}}',
  }),
};

/** Every flag of the admission webhook; `docs/flags.md` is tested against this table. */
export const WEBHOOK_FLAGS = {
  port: flag({
    name: 'webhook-port',
    placeholder: 'PORT',
    brief: 'Port of POST /gate, over TLS',
    parse: wholeNumber({ min: 1, max: 65_535 }),
    fallback: '9443',
  }),
  serviceName: flag({
    name: 'service-name',
    placeholder: 'NAME',
    brief: 'The Service through which the API server comes; its port is 443',
    parse: kubernetesName,
    fallback: 'istio-pod-network-controller-webhook',
  }),
  configurationName: flag({
    name: 'configuration-name',
    placeholder: 'NAME',
    brief: "The MutatingWebhookConfiguration whose webhooks are kept; sorts after Istio's",
    parse: kubernetesName,
    fallback: 'zz-istio-pod-network-controller',
  }),
  failurePolicy: flag({
    name: 'failure-policy',
    placeholder: 'POLICY',
    brief:
      'What becomes of an opted-in pod while no webhook answers. Fail: it is refused. Ignore: it comes without a gate',
    parse: oneOf(['Fail', 'Ignore'] as const),
    fallback: 'Fail',
  }),
  certificate: flag({
    name: 'certificate',
    placeholder: 'HOW',
    brief: 'self: made, kept in a Secret and renewed by the webhook. files: read from --cert-dir',
    parse: oneOf(['self', 'files'] as const),
    fallback: 'self',
  }),
  certificateLifetimeSeconds: flag({
    name: 'certificate-lifetime',
    placeholder: 'SECONDS',
    brief: 'How long a certificate of our own is valid; it is renewed when a third of that is left',
    // Seconds are for tests; ten years is what kubeadm gives a CA.
    parse: wholeNumber({ min: 15, max: 3_650 * DAY_SECONDS }),
    fallback: String(90 * DAY_SECONDS),
  }),
  secretName: flag({
    name: 'secret-name',
    placeholder: 'NAME',
    brief: 'The Secret of the certificate, with --certificate=self',
    parse: kubernetesName,
    fallback: 'istio-pod-network-controller-webhook',
  }),
  certDir: flag({
    name: 'cert-dir',
    placeholder: 'PATH',
    brief: 'Holds tls.crt, tls.key and, unless somebody else keeps the CA bundle, ca.crt; with --certificate=files',
    parse: absolutePathOrEmpty,
    fallback: '',
  }),
  drainSeconds: flag({
    name: 'drain-seconds',
    placeholder: 'SECONDS',
    brief: 'How long reviews are still answered after SIGTERM, until the endpoints have changed everywhere',
    parse: wholeNumber({ min: 0, max: 300 }),
    fallback: '5',
  }),
  metricsPort: RUN_FLAGS.metricsPort,
  logLevel: RUN_FLAGS.logLevel,
  serviceAccountDir: RUN_FLAGS.serviceAccountDir,
  enroll: POLICY_FLAGS.enroll,
  excludeNamespaces: POLICY_FLAGS.excludeNamespaces,
  sidecarName: POLICY_FLAGS.sidecarName,
  ...GATE_CONTAINER_FLAGS,
};

function notEmpty(raw: string): string {
  if (raw.trim() === '' || raw.length > 1_024) throw new Error('a text');
  return raw;
}

function jsonStrings(raw: string): readonly string[] {
  const value = parsedJson(raw);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw new Error('a JSON list of strings');
  return value;
}

function jsonTexts(raw: string): Readonly<Record<string, string>> {
  const entries = Object.entries(jsonObject(raw)).map(([key, value]): [string, string] => {
    if (typeof value !== 'string') throw new Error('a JSON object of strings');
    return [key, value];
  });
  return Object.fromEntries(entries);
}

function jsonObject(raw: string): Readonly<Record<string, unknown>> {
  const value = parsedJson(raw);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('a JSON object');
  return { ...value };
}

function parsedJson(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    throw new Error('JSON');
  }
}
