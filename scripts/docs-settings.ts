import { CIDRS_MAX } from '../src/capture/cidr.ts';
import { NAMESERVERS_MAX } from '../src/capture/dns.ts';
import { GROUPS_MAX, IDS_MAX } from '../src/capture/ids.ts';
import { INTERFACES_MAX } from '../src/capture/interfaces.ts';
import { ARGUMENTS } from '../src/capture/istio-arguments.ts';
import { TEXT_CHARACTERS_MAX } from '../src/capture/parsed.ts';
import { PORTS_MAX } from '../src/capture/ports.ts';
import { markdown } from './docs-markdown.ts';

/** What else shapes a pod's capture, and how much of it is taken. */
export function settingTables(): string {
  return [
    '## Arguments and variables of Istio',
    '',
    'Read from the gate after `--`, or from `istio-init` and `istio-validation`; each argument also as a variable of that container, its name in capitals. They beat the annotations of Istio.',
    '',
    markdown(
      ['argument', 'variable', 'setting'],
      Object.entries(ARGUMENTS).map(([setting, name]) => [
        `\`--${name}\``,
        // Istio's tool gives this one none.
        name === 'envoy-port' ? '–' : `\`${name.toUpperCase().replaceAll('-', '_')}\``,
        setting,
      ]),
    ),
    '',
    'Variables of that container, else of the sidecar, by literal value:',
    '',
    markdown(
      ['variable', 'meaning'],
      VARIABLES.map(([name, meaning]) => [`\`${name}\``, meaning]),
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

const VARIABLES: readonly (readonly [string, string])[] = [
  ['ISTIO_META_DNS_CAPTURE', 'queries go to the DNS server in the proxy'],
  ['INVALID_DROP', 'packets that belong to no connection are dropped'],
  ['ISTIO_DUAL_STACK', 'counts only with `--ipv6=istio`'],
  ['ISTIO_OUTBOUND_OWNER_GROUPS', `\`*\`, or up to ${GROUPS_MAX} numeric gids whose traffic is captured`],
  [
    'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE',
    'numeric gids whose traffic is not captured; counts only while the former is `*`',
  ],
  ['ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR', 'what counts as loopback, within 127.0.0.0/8'],
];

const LIMITS: readonly (readonly [string, number])[] = [
  ['characters of one value', TEXT_CHARACTERS_MAX],
  ['ports in a list', PORTS_MAX],
  ['ranges in a list', CIDRS_MAX],
  ['interfaces in a list', INTERFACES_MAX],
  ['uids, and gids, of the proxy', IDS_MAX],
  ['owner groups in a list', GROUPS_MAX],
  ['name servers', NAMESERVERS_MAX],
];
