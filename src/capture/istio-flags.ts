/** The `istio-iptables` flags this version reads, by the name Istio gives them. */
export const ARGUMENTS = {
  outboundPort: 'envoy-port',
  inboundPort: 'inbound-capture-port',
  tunnelPort: 'inbound-tunnel-port',
  proxyUid: 'proxy-uid',
  proxyGid: 'proxy-gid',
  mode: 'istio-inbound-interception-mode',
  inboundPorts: 'istio-inbound-ports',
  excludeInboundPorts: 'istio-local-exclude-ports',
  excludeInterfaces: 'istio-exclude-interfaces',
  outboundRanges: 'istio-service-cidr',
  excludeOutboundRanges: 'istio-service-exclude-cidr',
  outboundPorts: 'istio-outbound-ports',
  excludeOutboundPorts: 'istio-local-outbound-ports-exclude',
  rerouteInterfaces: 'kube-virt-interfaces',
  redirectDns: 'redirect-dns',
  captureAllDns: 'capture-all-dns',
  tproxyMark: 'istio-inbound-tproxy-mark',
  tproxyRouteTable: 'istio-inbound-tproxy-route-table',
  dropInvalid: 'drop-invalid',
  dualStack: 'dual-stack',
} as const;

/** One-letter names, as Istio gives them. */
export const SHORT_NAMES: Readonly<Record<string, string>> = {
  p: 'envoy-port',
  z: 'inbound-capture-port',
  e: 'inbound-tunnel-port',
  u: 'proxy-uid',
  g: 'proxy-gid',
  m: 'istio-inbound-interception-mode',
  b: 'istio-inbound-ports',
  d: 'istio-local-exclude-ports',
  c: 'istio-exclude-interfaces',
  i: 'istio-service-cidr',
  x: 'istio-service-exclude-cidr',
  q: 'istio-outbound-ports',
  o: 'istio-local-outbound-ports-exclude',
  k: 'kube-virt-interfaces',
  t: 'istio-inbound-tproxy-mark',
  r: 'istio-inbound-tproxy-route-table',
  n: 'dry-run',
  f: 'restore-format',
};

/** Given to the container that only checks what Istio's CNI plugin did: the pod was injected for that. */
export const SKIP_RULE_APPLY = 'skip-rule-apply';

/** Flags without a value of their own in the next word. */
export const SWITCHES: ReadonlySet<string> = new Set([
  ARGUMENTS.redirectDns,
  ARGUMENTS.captureAllDns,
  ARGUMENTS.dropInvalid,
  ARGUMENTS.dualStack,
  SKIP_RULE_APPLY,
  'dry-run',
  'run-validation',
  'cni-mode',
  'reconcile',
  'cleanup-only',
  'force-apply',
  'native-nftables',
  'log_as_json',
  // Of other versions.
  'restore-format',
  'iptables-trace-logging',
  'nftables-trace-logging',
  'host-nsenter-exec',
]);

/** Taken, and without meaning here: they say how Istio's tool would work, or what it would log. */
const OTHERS = [
  'iptables-probe-port',
  'nftables-probe-port',
  'probe-timeout',
  'network-namespace',
  'force-iptables-binary',
  'iptables-version',
  'vklog',
  'log_output_level',
  'log_caller',
  'log_stacktrace_level',
  'log_target',
  'log_rotate',
  'log_rotate_max_age',
  'log_rotate_max_backups',
  'log_rotate_max_size',
];

/** Every flag that is taken. */
export const KNOWN_FLAGS: ReadonlySet<string> = new Set<string>([...Object.values(ARGUMENTS), ...SWITCHES, ...OTHERS]);
