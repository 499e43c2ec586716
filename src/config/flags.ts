import { BACKEND_CHOICES } from '../backend/choose.ts';
import { parseCidrs, parseCidrSelection } from '../capture/cidr.ts';
import { orThrow } from '../capture/parsed.ts';
import type { InterceptionMode } from '../capture/policy.ts';
import { parsePorts } from '../capture/ports.ts';
import { LOG_LEVELS } from '../telemetry/log.ts';
import { flag, type Values } from './flag.ts';
import {
  absolutePath,
  absolutePathOrEmpty,
  kubernetesName,
  kubernetesNames,
  oneOf,
  trueOrFalse,
  wholeNumber,
} from './values.ts';

const MODES: readonly InterceptionMode[] = ['REDIRECT', 'TPROXY', 'NONE'];

/** A value that is left to Istio's own default when the flag is empty. */
function optional<T>(parse: (raw: string) => T): (raw: string) => T | undefined {
  return (raw) => (raw === '' ? undefined : parse(raw));
}

/** How a pod's settings are read when neither the pod nor Istio says otherwise; shared by `run`, `explain`, `render`, `apply` and `verify`. */
export const POLICY_FLAGS = {
  enroll: flag({
    name: 'enroll',
    placeholder: 'WHO',
    brief: 'annotated: pods that ask for it, or whose namespace does. injected: also every pod with an Istio sidecar',
    parse: oneOf(['annotated', 'injected'] as const),
    fallback: 'annotated',
  }),
  excludeNamespaces: flag({
    name: 'exclude-namespaces',
    placeholder: 'NAMES',
    brief: "Namespaces whose pods are never touched, comma separated; the agent's own is always one of them",
    parse: kubernetesNames,
    fallback: 'kube-system',
  }),
  sidecarName: flag({
    name: 'sidecar-name',
    placeholder: 'NAME',
    brief: 'Name of the proxy container',
    parse: kubernetesName,
    fallback: 'istio-proxy',
  }),
  envoyPort: flag({
    name: 'envoy-port',
    placeholder: 'PORT',
    brief: "Port that outbound traffic is redirected to, where Istio's arguments do not say; empty: 15001",
    parse: optional(wholeNumber({ min: 1, max: 65_535 })),
    fallback: '',
  }),
  mode: flag({
    name: 'istio-inbound-interception-mode',
    placeholder: 'MODE',
    brief: 'REDIRECT, TPROXY or NONE, where the pod does not say; empty: REDIRECT',
    parse: optional(oneOf(MODES)),
    fallback: '',
  }),
  includeOutboundRanges: flag({
    name: 'istio-include-outbound-ip-ranges',
    placeholder: 'CIDRS',
    brief: 'Captured destinations, where the pod does not say; empty: *',
    parse: optional(orThrow(parseCidrSelection)),
    fallback: '',
  }),
  excludeOutboundRanges: flag({
    name: 'istio-exclude-outbound-ip-ranges',
    placeholder: 'CIDRS',
    brief: 'Destinations that are not captured, where the pod does not say',
    parse: optional(orThrow(parseCidrs)),
    fallback: '',
  }),
  excludeInboundPorts: flag({
    name: 'istio-exclude-inbound-ports',
    placeholder: 'PORTS',
    brief: 'Inbound ports that are not captured, where the pod does not say',
    parse: optional(orThrow(parsePorts)),
    fallback: '',
  }),
  ipv6: flag({
    name: 'ipv6',
    placeholder: 'HOW',
    brief:
      'both: IPv4 and IPv6 always. istio: IPv6 only where Istio itself would program it, so that IPv6 bypasses the mesh elsewhere',
    parse: oneOf(['both', 'istio'] as const),
    fallback: 'both',
  }),
};

/** What programs the kernel; also of the verbs that do: `apply`, `verify`, `clean`. */
export const BACKEND_FLAGS = {
  backend: flag({
    name: 'backend',
    placeholder: 'NAME',
    brief:
      'What programs the rules. auto: what a netns has already, else native nftables, else what works; or nft, nft-spawned, iptables-nft, iptables-legacy',
    parse: oneOf(BACKEND_CHOICES),
    fallback: 'auto',
  }),
};

/** Every flag of the node agent; `docs/flags.md` is tested against these tables. */
export const RUN_FLAGS = {
  nodeName: flag({
    name: 'node-name',
    placeholder: 'NAME',
    brief: 'The node whose pods this agent serves',
    parse: kubernetesName,
    fallback: undefined,
  }),
  criSocket: flag({
    name: 'cri-socket',
    placeholder: 'PATH',
    brief:
      'Socket of the container runtime; empty: the first that exists of cri-dockerd, containerd, k3s and CRI-O, and answers',
    parse: absolutePathOrEmpty,
    fallback: '',
  }),
  dockerSocket: flag({
    name: 'docker-socket',
    placeholder: 'PATH',
    brief:
      'Socket of the Docker Engine, asked where network namespaces are if the runtime is cri-dockerd, which does not say; not used otherwise',
    parse: absolutePath,
    fallback: '/var/run/docker.sock',
  }),
  nri: flag({
    name: 'nri',
    placeholder: 'WHEN',
    brief:
      'auto: capture in the hooks of the runtime wherever its NRI socket is, and keep looking for it. off: find sandboxes by CRI alone',
    parse: oneOf(['auto', 'off'] as const),
    fallback: 'auto',
  }),
  nriSocket: flag({
    name: 'nri-socket',
    placeholder: 'PATH',
    brief:
      "Socket on which the runtime takes plugins (NRI); it need not be there, and may come later. Its directory must be the node's",
    parse: absolutePath,
    fallback: '/var/run/nri/nri.sock',
  }),
  metricsPort: flag({
    name: 'metrics-port',
    placeholder: 'PORT',
    brief: 'Port of /metrics, /healthz and /readyz',
    parse: wholeNumber({ min: 1, max: 65_535 }),
    fallback: '15014',
  }),
  logLevel: flag({
    name: 'log-level',
    placeholder: 'LEVEL',
    brief: 'debug, info, warn or error',
    parse: oneOf(LOG_LEVELS),
    fallback: 'info',
  }),
  serviceAccountDir: flag({
    name: 'service-account-dir',
    placeholder: 'PATH',
    brief: 'Where token, ca.crt and namespace of the ServiceAccount are mounted',
    parse: absolutePathOrEmpty,
    fallback: '/var/run/secrets/kubernetes.io/serviceaccount',
  }),
  containerRuntime: flag({
    name: 'container-runtime',
    placeholder: 'NAME',
    brief:
      'auto, containerd or crio; kept from the original, any CRI runtime that reports netns paths works, and cri-dockerd',
    parse: oneOf(['auto', 'containerd', 'crio'] as const),
    fallback: 'auto',
  }),
  crioSocket: flag({
    name: 'crio-socket',
    placeholder: 'PATH',
    brief: "The original's name of --cri-socket; used when that is empty",
    parse: absolutePathOrEmpty,
    fallback: '',
  }),
  runcRoot: flag({
    name: 'runc-root',
    placeholder: 'PATH',
    brief: 'Kept from the original; not needed and not used',
    parse: absolutePathOrEmpty,
    fallback: '',
  }),
  enableInboundIpv6: flag({
    name: 'enable-inbound-ipv6',
    placeholder: 'BOOL',
    brief: 'Kept from the original; inbound IPv6 is always captured, see --ipv6',
    parse: trueOrFalse,
    fallback: 'true',
  }),
  ...BACKEND_FLAGS,
  ...POLICY_FLAGS,
};

export type RunConfig = Values<typeof RUN_FLAGS>;
