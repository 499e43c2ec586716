import { command } from '../../lab/command.ts';

/** Somebody else's table: another tool's rules in the same netns. No counters, so that equal text means untouched. */
const STRANGER = `
table inet stranger {
  set blocked { type ipv4_addr; elements = { 203.0.113.7 } }
  chain incoming {
    type filter hook input priority 0; policy accept;
    ip saddr @blocked drop comment "not ours"
  }
}
`;

/** Puts the stranger's table into a netns. */
export async function addStranger(netns: string): Promise<void> {
  await command(['ip', 'netns', 'exec', netns, 'nft', '-f', '-'], { input: STRANGER });
}

/** The stranger's table as nft lists it. */
export function strangerTable(netns: string): Promise<string> {
  return command(['ip', 'netns', 'exec', netns, 'nft', 'list', 'table', 'inet', 'stranger']);
}

/** All rules of a netns as nft lists them. */
export function nftOf(netns: string): Promise<string> {
  return command(['ip', 'netns', 'exec', netns, 'nft', 'list', 'ruleset']);
}
