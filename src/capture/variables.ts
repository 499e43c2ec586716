/** Environment variables that shape capture and are no plain twin of an argument; `docs/annotations.md` is tested against this table. */
export const VARIABLES = {
  dnsCapture: 'ISTIO_META_DNS_CAPTURE',
  dropInvalid: 'INVALID_DROP',
  dualStack: 'ISTIO_DUAL_STACK',
  ownerGroups: 'ISTIO_OUTBOUND_OWNER_GROUPS',
  excludeOwnerGroups: 'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE',
  loopbackRange: 'ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR',
  interceptionMode: 'ISTIO_META_INTERCEPTION_MODE',
} as const;

/** The variable `istio-iptables` reads for one of its arguments: the name in capitals. `--envoy-port` has none. */
export function variableOf(argument: string): string | undefined {
  return argument === 'envoy-port' ? undefined : argument.toUpperCase().replaceAll('-', '_');
}
