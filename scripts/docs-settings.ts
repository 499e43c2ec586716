import { CIDRS_MAX } from '../src/capture/cidr.ts';
import { NAMESERVERS_MAX } from '../src/capture/dns.ts';
import { GROUPS_MAX, IDS_MAX } from '../src/capture/ids.ts';
import { INTERFACES_MAX } from '../src/capture/interfaces.ts';
import { ARGUMENTS, SHORT_NAMES } from '../src/capture/istio-flags.ts';
import { TEXT_CHARACTERS_MAX } from '../src/capture/parsed.ts';
import { PORTS_MAX } from '../src/capture/ports.ts';
import { REROUTED_RANGES_MAX } from '../src/capture/reroute-limit.ts';
import { VARIABLES, variableOf } from '../src/capture/variables.ts';
import { markdown } from './docs-markdown.ts';

/** What else shapes a pod's capture, and how much of it is taken. */
export function settingTables(): string {
  return [
    '## Arguments and variables of Istio',
    '',
    'Read from the gate after `--`, from `istio-init` and `istio-validation`, or from `pod-network-controller.istio.io/istio-arguments`; where an argument is not given, from its variable in the same place. They beat the annotations of Istio.',
    '',
    markdown(
      ['argument', 'variable', 'meaning'],
      settings(ARGUMENTS).map((setting) => [
        argumentText(ARGUMENTS[setting]),
        code(variableOf(ARGUMENTS[setting])),
        MEANINGS[setting],
      ]),
    ),
    '',
    'Variables of that place, else of the sidecar, by literal value (`valueFrom` is refused):',
    '',
    markdown(
      ['variable', 'meaning'],
      settings(VARIABLES).map((setting) => [code(VARIABLES[setting]), VARIABLE_MEANINGS[setting]]),
    ),
    '',
    '## Limits',
    '',
    'More is refused, never cut; only further name servers are passed over.',
    '',
    markdown(
      ['what', 'at most'],
      LIMITS.map(([what, limit]) => [what, String(limit)]),
    ),
  ].join('\n');
}

const MEANINGS: Readonly<Record<keyof typeof ARGUMENTS, string>> = {
  outboundPort: 'the port outbound traffic is redirected to',
  inboundPort: 'the port inbound traffic goes to',
  tunnelPort: 'HBONE, never captured',
  proxyUid: 'uids of the proxy, numeric, comma separated',
  proxyGid: 'gids of the proxy, numeric, comma separated',
  mode: '`REDIRECT`, `TPROXY` or `NONE`',
  inboundPorts: '`*`, or ports; empty: none',
  excludeInboundPorts: 'ports; counts only while all inbound ports are captured',
  excludeInterfaces: 'interfaces whose traffic is left alone',
  outboundRanges: '`*`, or ranges; empty: none',
  excludeOutboundRanges: 'ranges',
  outboundPorts: 'ports; captured also outside of the included ranges',
  excludeOutboundPorts: 'ports',
  rerouteInterfaces: 'interfaces whose incoming traffic counts as outbound',
  redirectDns: 'queries go to the DNS server in the proxy',
  captureAllDns:
    "every query, not only those to the pod's own name servers; unsaid: only if the pod was injected for Istio's CNI plugin (no arguments, or `--skip-rule-apply` among them)",
  tproxyMark: 'mark of packets that TPROXY delivers to the proxy: 1 to 4294967295 in plain decimal, not 1338',
  tproxyRouteTable: 'route table of TPROXY: 1 to 4294967295 in plain decimal, not 253, 254 or 255',
  dropInvalid: 'packets that belong to no connection are dropped',
  dualStack: 'counts only with `--ipv6=istio`',
};

const VARIABLE_MEANINGS: Readonly<Record<keyof typeof VARIABLES, string>> = {
  dnsCapture: 'as `--redirect-dns`; stronger than `REDIRECT_DNS`',
  dropInvalid: 'as `--drop-invalid`; stronger than `DROP_INVALID`',
  dualStack: 'as `--dual-stack`; stronger than `DUAL_STACK`',
  ownerGroups: '`*`, or numeric gids whose traffic is captured',
  excludeOwnerGroups: 'numeric gids whose traffic is not captured; counts only while the former is `*`',
  loopbackRange: 'what counts as loopback, within 127.0.0.0/8',
  interceptionMode: 'as `-m`; weaker than the annotation. How NONE for the whole mesh (ProxyConfig) shows in a pod',
};

const LIMITS: readonly (readonly [string, number])[] = [
  ['characters of one value', TEXT_CHARACTERS_MAX],
  ['ports in a list', PORTS_MAX],
  ['ranges in a list', CIDRS_MAX],
  ['interfaces in a list', INTERFACES_MAX],
  ['rerouted interfaces times included ranges', REROUTED_RANGES_MAX],
  ['uids, and gids, of the proxy', IDS_MAX],
  ['owner groups in a list', GROUPS_MAX],
  ['name servers', NAMESERVERS_MAX],
];

function settings<T extends object>(table: T): readonly (keyof T & string)[] {
  const own = (key: string): key is keyof T & string => key in table;
  return Object.keys(table).filter(own);
}

function argumentText(name: string): string {
  const [short] = Object.entries(SHORT_NAMES).find(([, long]) => long === name) ?? [];
  return short === undefined ? `\`--${name}\`` : `\`-${short}\`, \`--${name}\``;
}

function code(text: string | undefined): string {
  return text === undefined ? '–' : `\`${text}\``;
}
