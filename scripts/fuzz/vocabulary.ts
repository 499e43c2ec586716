import { isIPv4, isIPv6 } from 'node:net';

/**
 * An independent look at what would be handed to a backend: every word must be one that our rules are made of, a number, an address, a
 * range, an interface's name in quotes, or a comment of printable ASCII. Returns the first line that is not; undefined if all are.
 */
export function strangerIn(script: string): string | undefined {
  return script.split('\n').find((line) => !isOurs(line));
}

const NFT = new Set(
  (
    'add delete table inet set chain type filter nat route hook prerouting output priority policy accept drop return jump flags interval ' +
    'elements counter iifname oifname meta nfproto ipv4 ipv6 l4proto tcp udp dport sport ip ip6 saddr daddr skuid skgid mark ct ' +
    'state zone set redirect to tproxy inet_service ipv4_addr ipv6_addr = != { }'
  ).split(' '),
);
const STATES = /^(?:invalid|established|related|new|untracked)(?:,(?:invalid|established|related|new|untracked))*$/;

function isOurs(line: string): boolean {
  if (!/^[\x20-\x7e\t]*$/.test(line)) return false;
  const bare = line.replace(/ ?comment "[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}"$/, '');
  return (
    bare
      .trim()
      .split(/[\s,;]+/)
      .every((word) => word === '' || isWord(word)) || STATES.test(bare)
  );
}

function isWord(word: string): boolean {
  if (NFT.has(word) || STATES.test(word)) return true;
  // Names of ours: chains, sets, the table.
  if (/^@?[a-z][a-z0-9_]{0,40}$/.test(word) && word.includes('_')) return true;
  if (['inbound', 'divert', 'prerouting', 'output'].includes(word)) return true;
  if (/^:?-?(?:0|[1-9][0-9]{0,9})$/.test(word)) return true;
  if (/^"[a-zA-Z][a-zA-Z0-9_.-]{0,14}"$/.test(word)) return true;
  return word.split('-').every(isRange);
}

function isRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const known = isIPv4(address) || (isIPv6(address) && !address.includes('%'));
  return known && more.length === 0 && (prefix === undefined || /^(?:0|[1-9][0-9]{0,2})$/.test(prefix));
}
