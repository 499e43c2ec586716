import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { COUNTS } from '../bench/cluster/counts.ts';
import { CAPTURE_ANNOTATION, MESSAGE_ANNOTATION, STATUS_ANNOTATION } from '../src/agent/report.ts';
import { GID_ANNOTATION, UID_ANNOTATION } from '../src/capture/identity.ts';
import { ARGUMENTS_ANNOTATION } from '../src/capture/carried-arguments.ts';
import { ANNOTATIONS } from '../src/capture/resolve.ts';
import { GATE_POD_FLAGS } from '../src/commands/gate-pod-flags.ts';
import { productVersion } from '../src/commands/version.ts';
import { RUN_FLAGS } from '../src/config/flags.ts';
import { WEBHOOK_FLAGS } from '../src/config/webhook-flags.ts';
import { INITIALIZE_ANNOTATION } from '../src/enrollment/decide.ts';
import { REASONS } from '../src/enrollment/reasons.ts';
import { REQUIRED_PLUGINS } from '../src/enrollment/required-plugins.ts';
import { ERROR_CODES } from '../src/errors.ts';
import { GATE_FLAGS } from '../src/gate/gate-options.ts';
import { CHECKS } from '../src/preflight/checks.ts';
import { STATES, STATUS_REASONS } from '../src/status/reasons.ts';
import { METRICS } from '../src/telemetry/metrics.ts';
import { commandOutputs } from './docs-commands.ts';
import { markdown } from './docs-markdown.ts';
import { settingTables } from './docs-settings.ts';

/**
 * The tables of docs/ that come from the code, by file. `node scripts/docs.ts` writes them between their markers; a unit test compares.
 * Everything outside the markers is written by hand.
 */
export function generatedTables(): Readonly<Record<string, string>> {
  return {
    'docs/flags.md': [
      flagTable(RUN_FLAGS),
      ...['', '## The gate (`init`)', '', flagTable(GATE_FLAGS)],
      ...['', '## The admission webhook (`webhook`)', '', flagTable(WEBHOOK_FLAGS)],
      ...[
        '',
        '## The same change on a manifest (`gate-pod`)',
        '',
        flagTable(GATE_POD_FLAGS).replaceAll(`:${productVersion()}`, ':VERSION'),
      ],
    ].join('\n'),
    'docs/command-line.md': commandOutputs(),
    'docs/errors.md': markdown(
      ['code', 'meaning'],
      Object.entries(ERROR_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]),
    ),
    'docs/reasons.md': markdown(
      ['reason', 'meaning'],
      Object.entries(REASONS).map(([code, meaning]) => [`\`${code}\``, meaning]),
    ),
    'docs/status.md': [
      markdown(
        ['state', 'meaning'],
        Object.entries(STATES).map(([state, meaning]) => [`\`${state}\``, meaning]),
      ),
      markdown(
        ['reason', 'meaning'],
        Object.entries(STATUS_REASONS).map(([code, meaning]) => [`\`${code}\``, meaning]),
      ),
    ].join('\n\n'),
    'docs/preflight.md': markdown(
      ['check', 'what it looks at', 'way out'],
      CHECKS.map(({ id, means, wayOut }) => [`\`${id}\``, means, wayOut]),
    ),
    'docs/annotations.md': [
      markdown(
        ['annotation', 'who sets it', 'meaning'],
        ANNOTATION_TABLE.map(([key, who, meaning]) => [`\`${key}\``, who, meaning]),
      ),
      settingTables(),
    ].join('\n\n'),
    'docs/metrics.md': markdown(
      ['metric', 'type', 'labels', 'meaning'],
      Object.values(METRICS).map((metric) => [
        `\`istio_pod_network_controller_${metric.name}\``,
        metric.type,
        metric.labels.map((label) => `\`${label}\``).join(', '),
        metric.help,
      ]),
    ),
    'docs/performance.md': markdown(
      ['count', 'question', 'what', 'usual', 'full'],
      Object.entries(COUNTS).map(([name, { of, what, usual, full }]) => [
        `\`${name}\``,
        of,
        what,
        usual.toLocaleString('en'),
        full.toLocaleString('en'),
      ]),
    ),
  };
}

const PORTS = 'ports, comma separated';
const RANGES = 'ranges such as `10.0.0.0/8` or `2001:db8::/32`, comma separated';

/** Every annotation the product reads or writes. */
const ANNOTATION_TABLE: readonly (readonly [string, string, string])[] = [
  [
    INITIALIZE_ANNOTATION,
    'user, on a pod or a Namespace',
    '`"true"`: take part; `"false"`: do not. The pod\'s word beats the Namespace\'s',
  ],
  [STATUS_ANNOTATION, 'agent', '`initialized` or `failed`'],
  [MESSAGE_ANNOTATION, 'agent', 'one line for people, while not initialized'],
  [
    CAPTURE_ANNOTATION,
    'agent',
    'JSON: policy hash, sandbox, netns cookie, boot id, backend, time. A report; the agent never trusts it',
  ],
  [
    REQUIRED_PLUGINS,
    "the gate's carrier, and others",
    'plugins of the container runtime without which it creates no container; names ours in pods without a gate ([gateless.md](gateless.md))',
  ],
  [
    ARGUMENTS_ANNOTATION,
    "the gate's carrier",
    'JSON: arguments and variables that Istio resolved for a pod without a gate, as a gate carries them',
  ],
  [ANNOTATIONS.outboundPort, 'user', 'override: the port outbound traffic is redirected to'],
  [ANNOTATIONS.inboundPort, 'user', 'override: the port inbound traffic is redirected to'],
  [UID_ANNOTATION, 'user', 'override: uids of the proxy, numeric, comma separated'],
  [GID_ANNOTATION, 'user', 'override: gids of the proxy, numeric, comma separated'],
  [ANNOTATIONS.mode, 'user or Istio', '`REDIRECT`, `TPROXY` or `NONE`'],
  [ANNOTATIONS.inboundPorts, 'user or Istio', `\`*\`, or ${PORTS}; empty: none`],
  [ANNOTATIONS.excludeInboundPorts, 'user or Istio', `${PORTS}; counts only while all inbound ports are captured`],
  [ANNOTATIONS.outboundPorts, 'user or Istio', `${PORTS}; captured also outside of the included ranges`],
  [ANNOTATIONS.excludeOutboundPorts, 'user or Istio', PORTS],
  [ANNOTATIONS.outboundRanges, 'user or Istio', `\`*\`, or ${RANGES}; empty: none`],
  [ANNOTATIONS.excludeOutboundRanges, 'user or Istio', RANGES],
  [ANNOTATIONS.excludeInterfaces, 'user or Istio', 'interfaces whose traffic is left alone, comma separated'],
  [ANNOTATIONS.rerouteInterfaces, 'user or Istio', 'interfaces whose incoming traffic counts as outbound'],
  [ANNOTATIONS.rerouteInterfacesOld, 'user or Istio', 'old name of the former; read only where that is absent'],
  [ANNOTATIONS.statusPort, 'user or Istio', 'the status port of the proxy, excluded from inbound capture; `0`: none'],
];

const BEGIN = '<!-- generated: node scripts/docs.ts -->';
const END = '<!-- end -->';

/** The text of a document with its generated part replaced. Throws when the markers are missing. */
export function withTable(document: string, table: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the markers ${BEGIN} and ${END} are missing`);
  return `${document.slice(0, from)}${BEGIN}\n${table}\n${document.slice(to)}`;
}

interface FlagRow {
  readonly name: string;
  readonly placeholder: string;
  readonly env: string;
  readonly fallback: string | undefined;
  readonly brief: string;
}

function flagTable(flags: Readonly<Record<string, FlagRow>>): string {
  return markdown(
    ['flag', 'environment', 'default', 'meaning'],
    Object.values(flags).map((flag) => [
      `\`--${flag.name} ${flag.placeholder}\``,
      `\`${flag.env}\``,
      flag.fallback === undefined ? 'required' : `\`${JSON.stringify(flag.fallback)}\``,
      flag.brief,
    ]),
  );
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  for (const [file, table] of Object.entries(generatedTables())) {
    const path = join(root, file);
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), table));
    process.stdout.write(`${file}\n`);
  }
}
