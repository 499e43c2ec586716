import { join } from 'node:path';
import { command, type CommandResult, tryCommand } from '../../lab/command.ts';
import { checkout } from '../../lab/paths.ts';
import { claim, output, prompt } from '../presentation.ts';

const NAME = 'istio-pod-network-controller';
export const MANIFEST = 'examples/pod.yaml';

/** Runs a verb of the product, shows command and output, and claims that it exits 0. Returns what it printed. */
export async function showVerb(args: readonly string[]): Promise<string> {
  prompt(`bin/${NAME} ${args.join(' ')}`);
  const result = await runVerb(args);
  output(`${result.stdout}${result.stderr}`);
  if (result.code !== 0) claim(`\`${args[0]}\` exits 0`, false, `exit ${result.code}`);
  return result.stdout;
}

/** Runs a verb and shows nothing. */
export function runVerb(args: readonly string[]): Promise<CommandResult> {
  return tryCommand([join(checkout, 'bin', NAME), ...args], { cwd: checkout, timeoutMs: 60_000 });
}

/** Decision and policy hash of the manifest, for comparison with what the kernel says later. */
export async function decisionOf(manifest: string): Promise<{ action: string; policyHash: string }> {
  const { stdout } = await runVerb(['explain', '-f', manifest, '-o', 'json']);
  const list: unknown = JSON.parse(stdout);
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  return { action: textAt(first, 'action'), policyHash: textAt(first, 'policyHash') };
}

/** Builds bin/ and the bundle behind it. */
export async function buildProduct(): Promise<void> {
  await command([process.execPath, join(checkout, 'scripts', 'build.ts')], { cwd: checkout });
}

function textAt(value: unknown, name: string): string {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof found === 'string' ? found : '';
}
