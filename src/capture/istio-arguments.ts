import type { Container, Pod } from '../pod/pod.ts';

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

const SHORT: Readonly<Record<string, string>> = {
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

const SWITCHES = new Set([
  'dry-run',
  'skip-rule-apply',
  'run-validation',
  'redirect-dns',
  'drop-invalid',
  'dual-stack',
  'capture-all-dns',
  'cni-mode',
  'reconcile',
  'cleanup-only',
  'force-apply',
  'native-nftables',
  'log_as_json',
  // Of older versions.
  'restore-format',
  'trace-logging',
  'host-nsenter-exec',
]);

/** Taken, and without meaning here: they say how Istio's tool would work. */
const OTHERS = new Set(['iptables-probe-port', 'probe-timeout', 'network-namespace', 'force-iptables-binary', 'vklog']);

const KNOWN = new Set<string>([...Object.values(ARGUMENTS), ...SWITCHES, ...OTHERS]);

/** What the arguments say, by flag name; and those that cannot be understood, which may hold a setting and so must not be passed over. */
export interface IstioArguments {
  readonly values: ReadonlyMap<string, string>;
  readonly unknown: readonly string[];
}

/** Where Istio's injector left its resolved arguments: handed down to a gate after `--`, or in a container of Istio's own. */
export interface ArgumentCarrier {
  readonly container: Container;
  /** Without the leading `istio-iptables`. */
  readonly argv: readonly string[];
}

const TOOL = 'istio-iptables';
const OWN_CARRIERS = new Set(['istio-validation', 'istio-init']);

/** The first init container that carries `istio-iptables` arguments. */
export function argumentCarrier(pod: Pod): ArgumentCarrier | undefined {
  for (const container of pod.initContainers) {
    // A gate written by hand may name its verb in `command`.
    const words = [...container.command, ...container.args];
    const separator = words.indexOf('--');
    if (separator >= 0 && words[separator + 1] === TOOL) return { container, argv: words.slice(separator + 2) };
    if (OWN_CARRIERS.has(container.name) && container.args[0] === TOOL)
      return { container, argv: container.args.slice(1) };
  }
  return undefined;
}

/** Reads an `istio-iptables` command line as its own flag library does: `-p 1`, `-p=1`, `-p1`, `--name 1`, `--name=1`; the last one counts. */
export function readIstioArguments(argv: readonly string[]): IstioArguments {
  const values = new Map<string, string>();
  const unknown: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    const flag = splitFlag(word);
    if (flag === undefined || !isKnown(flag.name)) {
      unknown.push(word);
      continue;
    }
    if (flag.value !== undefined) values.set(flag.name, flag.value);
    else if (SWITCHES.has(flag.name)) values.set(flag.name, 'true');
    else if (index + 1 < argv.length) {
      index += 1;
      values.set(flag.name, argv[index] ?? '');
    } else unknown.push(word);
  }
  return { values, unknown };
}

function splitFlag(word: string): { readonly name: string; readonly value: string | undefined } | undefined {
  const long = /^--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?$/s.exec(word);
  if (long?.[1] !== undefined) return { name: long[1], value: long[2] };
  const short = /^-([A-Za-z])(?:=(.*)|(.+))?$/s.exec(word);
  const name = short?.[1] === undefined ? undefined : SHORT[short[1]];
  return name === undefined ? undefined : { name, value: short?.[2] ?? short?.[3] };
}

/** Istio's logging flags (`--log_output_level …`) differ between versions and never hold a traffic setting. */
function isKnown(name: string): boolean {
  return KNOWN.has(name) || name.startsWith('log_');
}
