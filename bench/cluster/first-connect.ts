import { appPod } from '../../test/support/cluster-pods.ts';
import { at, INITIALIZE, textAt } from '../../test/support/cluster.ts';
import { createPod, removePod } from './api.ts';
import { firstLine } from './container-log.ts';
import { type EnvironmentName, ENVIRONMENTS } from './environment.ts';
import { proxyContainer } from './proxy-container.ts';

/** What came of the first thing that a pod's first container did. */
export interface FirstConnect {
  readonly address: string;
  /** `refused`: redirected to the proxy's port, where nothing listens yet. `silent`: nobody answered. */
  readonly outcome: 'refused' | 'connected' | 'silent' | 'other';
  /** From the request to the answer of the connect. */
  readonly startedMs: number;
}

/** With the gate a pod may wait for its turn behind many others. */
const OUTCOME_TIMEOUT_MS = 180_000;
/** A captured connect is answered by the pod's own loopback in microseconds; under load the answer may be read late. */
const CONNECT_TIMEOUT_MS = 1_000;
const NO_IMAGE = 'docker.io/istio-pod-network-controller/no-such-image:lab';

let made = 0;

/** Makes a pod whose application dials `address` first of all, tells what came of it, and takes the pod away. */
export async function connectFirst(
  { namespace, address }: { readonly namespace: string; readonly address: string },
  { environment, inits }: { readonly environment: EnvironmentName; readonly inits: readonly object[] },
): Promise<FirstConnect> {
  made += 1;
  const pod = await createPod(namespace, podThatDials({ name: `first-${made}`, address, environment, inits }));
  const { takenAtMs, text } = await firstLine(pod, 'app', OUTCOME_TIMEOUT_MS);
  await removePod(pod);
  return { address, outcome: outcomeOf(text), startedMs: takenAtMs - pod.requestedAtMs };
}

/** Enrolled by hand, as Istio's injector would leave it; kubelet starts containers in their order, so the application comes first. */
function podThatDials(options: {
  readonly name: string;
  readonly address: string;
  readonly environment: EnvironmentName;
  readonly inits: readonly object[];
}): object {
  const injected = { 'sidecar.istio.io/status': '{"revision":"default"}' };
  const optedIn = ENVIRONMENTS[options.environment].ours === 'away' ? {} : { [INITIALIZE]: 'true' };
  return appPod(options.name, {
    args: ['connect', '--timeout-ms', String(CONNECT_TIMEOUT_MS), options.address],
    annotations: { ...injected, ...optedIn },
    initContainers: options.inits,
    // Makes it a mesh pod for whoever captures; a proxy that ran would only take time from the others.
    containers: [proxyContainer(['proxy', 'sidecar'], { image: NO_IMAGE, imagePullPolicy: 'Never' })],
    spec: { restartPolicy: 'Never', automountServiceAccountToken: false },
  });
}

/** Of what the program `connect` prints. */
function outcomeOf(line: string): FirstConnect['outcome'] {
  const result: unknown = at(JSON.parse(line), 0);
  if (at(result, 'connected') === true) return 'connected';
  const error = textAt(result, 'error');
  if (error.includes('connection refused')) return 'refused';
  return error.includes('timeout') ? 'silent' : 'other';
}
