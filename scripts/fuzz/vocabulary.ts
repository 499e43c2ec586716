import { isComment, isInterface, isNumber, isRange, NAMES } from './words.ts';

const PASSED_MAX = 20_000;

/** The first line of a nft script that holds a word which is not ours to write; undefined if there is none. */
export const strangerInNft = firstNot(isNft);

/** The same for the input of `iptables-restore`. */
export const strangerInIptables = firstNot(isIptables);

/** Most lines come again with every pod: those that passed are remembered, up to a bound. */
function firstNot(isOurs: (line: string) => boolean): (script: string) => string | undefined {
  const passed = new Set<string>();
  return (script) =>
    script.split('\n').find((line) => {
      if (passed.has(line)) return false;
      if (!isOurs(line)) return true;
      if (passed.size >= PASSED_MAX) passed.clear();
      passed.add(line);
      return false;
    });
}

const NFT = new Set(
  (
    'add delete table inet set chain type filter nat route hook prerouting output priority policy accept drop return jump flags interval ' +
    'counter iifname oifname meta nfproto ipv4 ipv6 l4proto tcp udp dport sport ip ip6 saddr daddr skuid skgid mark ct ' +
    'state zone redirect to tproxy inet_service ipv4_addr ipv6_addr != istio_pod_network_controller'
  ).split(' '),
);
const STATES = /^(?:invalid|established|related|new|untracked)(?:,(?:invalid|established|related|new|untracked))*$/i;
const PRIORITIES = new Set(['-300', '-150', '-100']);

function isNft(line: string): boolean {
  const match = /^\t{0,2}(.*?)(?: ?comment "([^"\\]{1,120})")?$/.exec(line);
  const [, bare = '', comment] = match ?? [];
  if (match === null || (comment !== undefined && !isComment(comment))) return false;
  // Only these two statements of a base chain are ended by a semicolon.
  const words = bare.replace(/^(type \w+ hook \w+ priority -\d+); policy accept;$/, '$1 policy accept').split(' ');
  // A list stands in braces and nowhere else; other braces open and close a block.
  const list = /^elements = \{ (.*) \}$/.exec(bare);
  if (list?.[1] !== undefined) return list[1].split(', ').every(isElement);
  if (bare === '}') return true;
  const block = /^(?:set|chain) (\w+) \{$/.exec(bare);
  if (block?.[1] !== undefined) return NAMES.has(block[1]);
  if (/^(?:add |create )?table inet istio_pod_network_controller \{$/.test(bare)) return true;
  return words.every((word, index) => {
    const before = words[index - 1] ?? '';
    if (before === 'iifname' || before === 'oifname') return isQuotedInterface(word);
    return word === '' ? bare === '' : isNftWord(word);
  });
}

function isNftWord(word: string): boolean {
  if (NFT.has(word) || STATES.test(word) || PRIORITIES.has(word)) return true;
  if (NAMES.has(word) || (word.startsWith('@') && NAMES.has(word.slice(1)))) return true;
  if (word.startsWith(':') && isNumber(word.slice(1), 65_535)) return true;
  return isNumber(word) || word.split('-').every(isRange);
}

function isElement(word: string): boolean {
  return isNumber(word, 65_535) || word.split('-').every(isRange);
}

function isQuotedInterface(word: string): boolean {
  return word.length > 2 && word.startsWith('"') && word.endsWith('"') && isInterface(word.slice(1, -1));
}

const IPTABLES = new Set(
  (
    '-A -I -m -p -s -d -i -o -j ! tcp udp owner mark connmark conntrack multiport comment --uid-owner --gid-owner --mark --ctstate ' +
    '--dport --dports --sport --sports --to-ports --on-port --on-ip --tproxy-mark --set-xmark --save-mark --restore-mark --nfmask ' +
    '--ctmask --zone --comment RETURN ACCEPT DROP REDIRECT TPROXY MARK CONNMARK CT PREROUTING OUTPUT IPNC_policy'
  ).split(' '),
);
const HEX = /^0x[0-9a-f]{1,8}(?:\/0xffffffff)?$/;

function isIptables(line: string): boolean {
  if (['', '*raw', '*mangle', '*nat', 'COMMIT'].includes(line)) return true;
  const chain = /^:(\S+) - \[0:0\]$/.exec(line);
  if (chain?.[1] !== undefined) return isIptablesChain(chain[1]);
  const match = /^(-[AI] .*)--comment "([^"\\]{1,120})" (-j .*)$/.exec(line);
  const [, before = '', comment = '', after = ''] = match ?? [];
  if (match === null || !isComment(comment)) return false;
  const words = [...before.trimEnd().split(' '), ...after.split(' ')];
  return words.every((word, index) => {
    if (['-i', '-o'].includes(words[index - 1] ?? '')) return isInterface(word);
    return IPTABLES.has(word) || isIptablesChain(word) || isIptablesValue(word);
  });
}

function isIptablesChain(word: string): boolean {
  return word === 'IPNC_policy' || (word.startsWith('IPNC_') && NAMES.has(word.slice('IPNC_'.length)));
}

function isIptablesValue(word: string): boolean {
  if (HEX.test(word) || STATES.test(word) || isRange(word)) return true;
  return word.split(',').every((number) => isNumber(number));
}
