import { GID_ANNOTATION, UID_ANNOTATION } from '../../src/capture/identity.ts';
import { ARGUMENTS } from '../../src/capture/istio-flags.ts';
import { ANNOTATIONS } from '../../src/capture/resolve.ts';

/** A pod's input: one hostile value in one place, as it stands in a manifest. */
export interface HostileInput {
  readonly place: 'annotation' | 'argument' | 'variable';
  readonly key: string;
  readonly value: string;
}

const KEYS: readonly (readonly [HostileInput['place'], string])[] = [
  ...[...Object.values(ANNOTATIONS), UID_ANNOTATION, GID_ANNOTATION].map((key) => ['annotation', key] as const),
  ...Object.values(ARGUMENTS).map((key) => ['argument', key] as const),
  ...[
    'ISTIO_META_DNS_CAPTURE',
    'ISTIO_DUAL_STACK',
    'INVALID_DROP',
    'CAPTURE_ALL_DNS',
    'ISTIO_OUTBOUND_OWNER_GROUPS',
    'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE',
    'ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR',
    'ISTIO_SERVICE_CIDR',
    'ISTIO_INBOUND_PORTS',
  ].map((key) => ['variable', key] as const),
];

const VALID = [
  '*',
  '',
  '80',
  '80,443',
  '15001',
  '1337',
  '10.0.0.0/8',
  '192.0.2.0/24,2001:db8::/32',
  '::/0',
  '0.0.0.0/0',
  'eth0',
  'eth0,net-1.2',
  'REDIRECT',
  'TPROXY',
  'NONE',
  'true',
  'false',
  '1',
  '0',
  '127.0.0.1/32',
  '127.0.0.0/8',
  '65535',
  '4294967294',
];

const FRAGMENTS = [
  ' ',
  ',',
  ',,',
  '\n',
  '\r\n',
  '\t',
  '\0',
  '"',
  "'",
  '\\',
  '`',
  '$(id)',
  ';',
  '#',
  '{',
  '}',
  '}\n}\nflush ruleset\n',
  '; flush ruleset',
  '" drop comment "',
  '-j ACCEPT',
  '--dport 1',
  '\n-A INPUT -j DROP\nCOMMIT\n',
  '*nat',
  ':x - [0:0]',
  'eth*',
  '@set',
  '!',
  '!=',
  '-',
  ':',
  '/',
  '/33',
  '/129',
  '/-1',
  '%eth0',
  '::ffff:',
  '0x10',
  '1e3',
  '01',
  '+1',
  '-1',
  '65536',
  '4294967295',
  '99999999999999999999',
  '１２',
  '٣',
  'é',
  '\u202e',
  '\ud800',
  '\u2028',
  '__proto__',
  'constructor',
  'toString',
  '--',
  '-p15001',
  '--envoy-port=1',
  '.',
  '..',
  'a'.repeat(16),
  '10.0.0.0',
  '2001:db8::1',
  '1-9',
  '80:90',
  'localhost',
  'include "/etc/passwd"',
  'define x = 1',
  '\x1b[31m',
  '\x7f',
];

/** Endless inputs from a seed. Half of them are valid values with something hostile in them, the rest hostile altogether. */
export function hostileInputs(seed: number): () => HostileInput {
  const next = random(seed);
  const pick = <T>(items: readonly T[], fallback: T): T => items[Math.floor(next() * items.length)] ?? fallback;
  const piece = (): string => (next() < 0.4 ? pick(VALID, '') : pick(FRAGMENTS, ''));
  return () => {
    const [place, key] = pick(KEYS, ['annotation', ANNOTATIONS.mode] as const);
    const shape = next();
    if (shape < 0.35) return { place, key, value: mutated(pick(VALID, ''), pick(FRAGMENTS, ''), next()) };
    if (shape < 0.55) return { place, key, value: Array.from({ length: 1 + Math.floor(next() * 6) }, piece).join(',') };
    if (shape < 0.9) return { place, key, value: Array.from({ length: 1 + Math.floor(next() * 5) }, piece).join('') };
    if (shape < 0.999) return { place, key, value: pick(VALID, '') };
    return { place, key, value: Array.from({ length: 2_000 }, (_, index) => `${piece()}${index}`).join(',') };
  };
}

function mutated(valid: string, fragment: string, at: number): string {
  const index = Math.floor(at * (valid.length + 1));
  return valid.slice(0, index) + fragment + valid.slice(index);
}

/** mulberry32: small, fast, and the same everywhere. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
