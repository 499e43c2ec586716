import type { Choices } from './random.ts';

/** One value as somebody might have written it who wants to break something, or who mistyped. */
export function hostileText(choices: Choices, valid: readonly [string, ...string[]]): string {
  const shape = choices.next();
  if (shape < 0.12) return choices.pick(valid);
  if (shape < 0.45) return mutated(choices, choices.pick(valid));
  if (shape < 0.65) return pieces(choices, valid, 6).join(choices.pick([',', ',', ', ', ' ,\n', ',,', ';', ' ']));
  if (shape < 0.9) return pieces(choices, valid, 5).join('');
  if (shape < 0.998) return Array.from({ length: choices.upTo(20) }, () => character(choices)).join('');
  return huge(choices, choices.pick(valid));
}

/** A valid value of any setting: what is right in one place is wrong in another. */
export const VALID = [
  '*',
  '',
  '80',
  '80,443',
  '15001',
  '1337',
  '0,4294967294',
  '10.0.0.0/8',
  '192.0.2.0/24,2001:db8::/32',
  '::/0',
  '0.0.0.0/0',
  '64:ff9b::192.0.2.33/128',
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
] as const;

const FRAGMENTS = [
  // Blanks, line ends, quotes, control characters.
  ...[
    ' ',
    '\t',
    '\n',
    '\r\n',
    '\0',
    '\v',
    '\u00a0',
    '\u2028',
    '\ufeff',
    '"',
    "'",
    '\\',
    '`',
    '\x1b[31m',
    '\x7f',
    '\x9b',
  ],
  // Shells, nft, iptables.
  ...['$(id)', '${IFS}', ';', '#', '{', '}', '}\n}\nflush ruleset\n', '; flush ruleset', '} }', '" drop comment "'],
  ...[
    '-j ACCEPT',
    '--dport 1',
    '\n-A INPUT -j DROP\nCOMMIT\n',
    '*nat',
    ':x - [0:0]',
    'eth*',
    'eth+',
    '@set',
    '!',
    '!=',
  ],
  ...['include "/etc/passwd"', 'define x = 1', 'add rule inet istio_pod_network_controller output accept', 'accept'],
  // Lists, ranges, signs.
  ...[
    ',',
    ',,',
    '-',
    ':',
    '/',
    '..',
    '1-9',
    '80:90',
    '10.0.0.0-10.0.0.9',
    '/33',
    '/129',
    '/-1',
    '%eth0',
    '::ffff:',
    '::',
  ],
  // Numbers that are none.
  ...[
    '0x10',
    '1e3',
    '01',
    '+1',
    '-1',
    '65536',
    '4294967295',
    '99999999999999999999',
    '1.0',
    '1_000',
    'NaN',
    'Infinity',
    '１２',
    '٣',
  ],
  // Unicode.
  ...['é', 'ſ', 'İ', '\u202e', '\u200b', '\ud800', '\udfff', '😀', 'a'.repeat(16)],
  // Names that objects have of themselves.
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'],
  // Ways to end or to add an argument.
  ...['--', '-p=', '-p15001', '--envoy-port=1', '--redirect-dns', '-n', '=', '==', 'istio-iptables'],
  ...['localhost', 'main', 'root', '10.0.0.0', '2001:db8::1', 'fe80::1%eth0/64', '.'],
] as const;

function pieces(choices: Choices, valid: readonly [string, ...string[]], max: number): readonly string[] {
  const piece = (): string => {
    const kind = choices.next();
    if (kind < 0.3) return choices.pick(valid);
    return kind < 0.4 ? choices.pick(VALID) : choices.pick(FRAGMENTS);
  };
  return Array.from({ length: 1 + choices.upTo(max - 1) }, piece);
}

/** Something put in, taken out, doubled or exchanged. */
function mutated(choices: Choices, text: string): string {
  const at = choices.upTo(text.length);
  const before = text.slice(0, at);
  const after = text.slice(at);
  const kind = choices.next();
  if (kind < 0.5) return before + choices.pick(FRAGMENTS) + after;
  if (kind < 0.65) return before + after.slice(1);
  if (kind < 0.8) return before + character(choices) + after.slice(1);
  return before + text + after;
}

function character(choices: Choices): string {
  const kind = choices.next();
  if (kind < 0.5) return String.fromCharCode(0x20 + choices.upTo(0x5e));
  if (kind < 0.8) return choices.pick(['0', '1', '9', 'f', ',', '.', ':', '/', '-', '*', '%']);
  if (kind < 0.9) return String.fromCharCode(choices.upTo(0x1f));
  // Also half of a pair.
  return String.fromCharCode(choices.upTo(0xffff));
}

/** Long texts, long lists of one element, of many, and of blanks. */
export function huge(choices: Choices, valid: string): string {
  const length = choices.pick([1_000, 5_000, 70_000]);
  switch (choices.upTo(7)) {
    case 0:
      return `${valid},`.repeat(length) + valid;
    case 1:
      return Array.from({ length }, (_, index) => index + 1).join(',');
    case 2:
      return Array.from({ length: 4_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`).join(',');
    case 3:
      return Array.from({ length: 4_000 }, (_, index) => `2001:db8:${index.toString(16)}::/48`).join(',');
    case 4:
      return ' '.repeat(length) + choices.pick(FRAGMENTS) + ' '.repeat(length);
    case 5:
      return Array.from({ length: 64 }, (_, index) => `eth${index}`).join(',');
    case 6:
      return Array.from({ length: 1_024 }, (_, index) => 1 + index * 2).join(',');
    default:
      return choices.pick(FRAGMENTS).repeat(length);
  }
}
