import { join } from 'node:path';
import { type CommandResult, tryCommand } from '../../lab/command.ts';
import { lab } from '../../lab/paths.ts';

export const CHART = join(import.meta.dirname, '../../chart/istio-pod-network-controller');
/** Where the chart is meant to be installed, and its release. */
export const PRODUCT = 'istio-pod-network-controller';
/** Helm 4. */
export const HELM = join(lab.bin, 'helm');
export const HELM3 = join(lab.bin, 'helm3');

/** What is rendered must not depend on what a Helm takes for granted. */
const VERSION = '--kube-version=1.36.0';
// Keeps Helm out of the user's own folders.
const home = join(lab.directory, 'helm');
const ENV = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };

/** One set of values that must always render the same. */
export interface ChartCase {
  readonly name: string;
  readonly args: readonly string[];
}

const ALL_ON = [
  'labels.team=mesh',
  'annotations.example\\.com/owner=mesh',
  `image.digest=sha256:${'0123456789abcdef'.repeat(4)}`,
  'image.pullSecrets={registry}',
  'agent.enroll=injected',
  'agent.envoyPort=15101',
  'agent.backend=iptables-legacy',
  'agent.nriSocket=/run/example/nri.sock',
  'agent.istioInboundInterceptionMode=TPROXY',
  'agent.istioExcludeInboundPorts=22\\,9100',
  'agent.istioExcludeOutboundIpRanges=192.0.2.0/24',
  'agent.extraArgs={--container-runtime=containerd}',
  'agent.extraEnv[0].name=TZ',
  'agent.extraEnv[0].value=UTC',
  'agent.appArmorProfile.type=Unconfined',
  'agent.maxUnavailable=10%',
  'agent.podAnnotations.a=b',
  'agent.podLabels.c=d',
  'gate.carrier=policy',
  'gate.failurePolicy=Ignore',
  'policies.proxyIdentity=true',
  'monitoring.podMonitor.enabled=true',
  'monitoring.podMonitor.interval=30s',
  'monitoring.podMonitor.labels.release=prometheus',
  'networkPolicy.enabled=true',
  'flowSchema.enabled=true',
];
const LEAST = [
  'namespace.create=false',
  'gate.carrier=none',
  'policies.agent=false',
  'policies.annotations=false',
  'policies.gate=false',
  'monitoring.annotations=false',
  'agent.nri=off',
  'agent.updateStrategy=OnDelete',
  'agent.priorityClassName=',
  'agent.tolerations=null',
  'agent.nodeSelector=null',
  'agent.resources=null',
];
/** Sockets as the packages of Docker and cri-dockerd have them. */
const DOCKER = ['agent.docker.enabled=true', 'agent.criSocket=/run/cri-dockerd.sock'];
const DOCKER_ELSEWHERE = [
  'agent.docker.enabled=true',
  'agent.docker.socket=/run/docker/docker.sock',
  'agent.docker.netnsDirectory=/srv/docker/netns',
  'agent.criSocket=/run/cri-dockerd/cri-dockerd.sock',
];
/** Nothing but the agent. */
const QUIET = [
  'namespace.create=false',
  'gate.carrier=none',
  'policies.agent=false',
  'policies.annotations=false',
  'policies.gate=false',
];
const set = (values: readonly string[]) => values.flatMap((value) => ['--set', value]);

/** The value sets whose output is kept in test/chart/golden/. */
export const CHART_CASES: readonly ChartCase[] = [
  { name: 'default', args: [] },
  { name: 'policy', args: set(['gate.carrier=policy']) },
  { name: 'webhook', args: set(['gate.carrier=webhook', 'webhook.replicas=1', 'networkPolicy.enabled=true']) },
  { name: 'gateless', args: set(['gate.mode=runtime', 'gate.carrier=policy']) },
  { name: 'openshift', args: set(['platform=openshift']) },
  { name: 'everything', args: set(ALL_ON) },
  { name: 'minimal', args: set(LEAST) },
  { name: 'docker', args: set([...DOCKER, ...QUIET]) },
  { name: 'docker-elsewhere', args: set([...DOCKER_ELSEWHERE, ...QUIET]) },
];

/** Runs Helm on the chart: `helm template -n NAMESPACE CHART …`, without a cluster, for Kubernetes 1.36. */
export function tryTemplate(
  args: readonly string[],
  options: { readonly helm?: string; readonly namespace?: string; readonly input?: string } = {},
): Promise<CommandResult> {
  const { helm = HELM, namespace = PRODUCT, input } = options;
  const argv = [helm, 'template', '-n', namespace, CHART, VERSION, ...args];
  return tryCommand(argv, input === undefined ? { env: ENV } : { env: ENV, input });
}

/** The manifests; throws with Helm's words. Without the empty lines that only Helm 4 ends a manifest with. */
export async function template(
  args: readonly string[],
  options: { readonly helm?: string; readonly namespace?: string } = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryTemplate(args, options);
  if (code !== 0) throw new Error(stderr);
  return stdout.replaceAll(/\n+(?=---\n)/g, '\n').replace(/\n+$/, '\n');
}

/** Runs Helm on the lab's cluster. */
export function tryHelm(helm: string, args: readonly string[]): Promise<CommandResult> {
  return tryCommand([helm, '--kubeconfig', lab.kubeconfig, ...args], { env: ENV, timeoutMs: 180_000 });
}
