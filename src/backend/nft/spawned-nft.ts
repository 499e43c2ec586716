import { runProgram } from '../process.ts';
import type { Nft, NftContext } from './libnftables.ts';
import { nftFailure } from './nft-failure.ts';
import { commentInText, parseTableJson, saysNoTable } from './nft-output.ts';

/** The `nft` program instead of the library: the same transactions, some 40 ms each. Needs nft 1.0.1 or newer, built with JSON. */
export const SPAWNED_NFT: Nft = { withContext: (work) => work(CONTEXT) };

const CONTEXT: NftContext = {
  run: (script) => runScript([], script),
  check: (script) => runScript(['--check'], script),
  listTable: (name) => {
    const output = list(['--json', '--numeric'], name);
    return output === undefined ? undefined : parseTableJson(output);
  },
  tableComment: (name) => commentInText(list(['--numeric', '--stateless', '--terse'], name) ?? ''),
};

function runScript(options: readonly string[], script: string): void {
  const { status, stderr } = runProgram({ program: 'nft', args: [...options, '--file', '-'], input: script });
  if (status !== 0) throw nftFailure(stderr);
}

/** Undefined if there is no such table of family inet. */
function list(options: readonly string[], name: string): string | undefined {
  const { status, stdout, stderr } = runProgram({ program: 'nft', args: [...options, 'list', 'table', 'inet', name] });
  if (status === 0) return stdout;
  if (saysNoTable(stderr)) return undefined;
  throw nftFailure(stderr);
}
