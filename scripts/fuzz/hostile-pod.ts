import { ARGUMENTS_ANNOTATION } from '../../src/capture/carried-arguments.ts';
import { SHORT_NAMES } from '../../src/capture/istio-flags.ts';
import { PLUGIN_NAME, REQUIRED_PLUGINS } from '../../src/enrollment/required-plugins.ts';
import { hostileText, huge } from './hostile-text.ts';
import { type Choices, choicesOf } from './random.ts';
import { type Place, type Setting, SETTINGS } from './settings.ts';

/** A pod as it stands in a manifest, and what else is told about it. */
export interface HostilePod {
  readonly manifest: object;
  readonly nameservers: readonly string[] | undefined;
  /** The one hostile value and where it stands; for people. */
  readonly hostile: { readonly place: Place; readonly key: string; readonly value: string };
}

interface Told {
  readonly place: Place;
  readonly key: string;
  readonly value: string;
}

/** The pod of a seed at an index: one hostile value, and up to four other settings that are right, so that it meets rules of every kind. */
export function hostilePod(seed: number, index: number): HostilePod {
  const choices = choicesOf(seed, index);
  const setting = choices.pick(SETTINGS);
  const hostile: Told = { ...place(setting), value: hostileText(choices, setting.valid) };
  const others = Array.from({ length: choices.upTo(4) }, () => choices.pick(SETTINGS)).map((other): Told => {
    const valid = choices.pick(other.valid);
    // Lists that are each as long as they may be must not become too long together.
    return { ...place(other), value: choices.next() < 0.002 ? huge(choices, valid) : valid };
  });
  // The hostile value comes last, so that it counts where a key stands twice.
  const told = [...others, hostile];
  return { manifest: manifestOf(choices, told), nameservers: nameserversOf(choices, hostile.value), hostile };
}

function place({ place: where, key }: Setting): Pick<Told, 'place' | 'key'> {
  return { place: where, key };
}

function manifestOf(choices: Choices, told: readonly Told[]): object {
  const at = (where: Place): readonly Told[] => told.filter((one) => one.place === where);
  const env = (where: Place): readonly object[] => at(where).map(({ key, value }) => ({ name: key, value }));
  const argv = at('argument').flatMap((one) => wordsOf(choices, one));
  const carried = argv.length > 0 || at('carrierVariable').length > 0 || choices.next() < 0.2;
  const carrier = { ...carrierOf(choices, argv), env: env('carrierVariable') };
  const gateless = carried && choices.next() < 0.2;
  const text = gateless ? carriedBy({ args: ['istio-iptables', ...argv], env: env('carrierVariable') }) : [];
  return {
    // From entries, as JSON has it: an assignment to `__proto__` would be lost.
    metadata: {
      name: 'a',
      annotations: Object.fromEntries([...text, ...at('annotation').map(({ key, value }) => [key, value])]),
    },
    spec: {
      initContainers: carried && !gateless ? [carrier] : [],
      containers: [{ name: 'app' }, { name: 'istio-proxy', env: env('proxyVariable') }],
      ...(choices.next() < 0.1 ? { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.53'] } } : {}),
    },
  };
}

/** One argument in one of the ways to write it, some of which split it elsewhere than its writer thinks. */
function wordsOf(choices: Choices, { key, value }: Told): readonly string[] {
  const [short = '?'] = Object.entries(SHORT_NAMES).find(([, name]) => name === key) ?? [];
  const long = `--${key}`;
  switch (choices.upTo(short === '?' ? 3 : 9)) {
    case 0:
    case 1:
      return [`${long}=${value}`];
    case 2:
      return [long, value];
    case 3:
      return [long, ...value.split(' ')];
    case 4:
      return [`-${short}`, value];
    case 5:
      return [`-${short}${value}`];
    case 6:
      return [`-${short}=${value}`];
    case 7:
      return [`-n${short}${value}`];
    case 8:
      return [`-${short}`, value, '--', value];
    default:
      return [value, `-${short}`];
  }
}

/** As a pod without a gate carries them. */
function carriedBy(carried: object): readonly (readonly [string, string])[] {
  return [
    [REQUIRED_PLUGINS, `["${PLUGIN_NAME}"]`],
    [ARGUMENTS_ANNOTATION, JSON.stringify(carried)],
  ];
}

/** The ways in which containers bring us arguments. */
function carrierOf(choices: Choices, argv: readonly string[]): object {
  switch (choices.upTo(3)) {
    case 0:
      return { name: 'istio-init', args: ['istio-iptables', ...argv] };
    case 1:
      return { name: 'istio-validation', args: ['istio-iptables', ...argv, '--run-validation', '--skip-rule-apply'] };
    case 2:
      return { name: 'gate', command: ['controller', 'init'], args: ['--', 'istio-iptables', ...argv] };
    default:
      return { name: 'gate', args: ['init', '--', 'istio-iptables', ...argv] };
  }
}

function nameserversOf(choices: Choices, hostile: string): readonly string[] | undefined {
  switch (choices.upTo(3)) {
    case 0:
      return undefined;
    case 1:
      return [];
    case 2:
      return ['10.96.0.10', '2001:db8::a'];
    default:
      return [hostile, ...hostile.split(',').slice(0, 100), '10.96.0.10'];
  }
}
