import { join } from 'node:path';
import { command, type CommandResult, tryCommand } from '../../lab/command.ts';
import { checkout, lab } from '../../lab/paths.ts';
import { claim, output, prompt } from '../presentation.ts';

/** What makes a shell use the lab's cluster and its tools. */
export const CLUSTER_ENVIRONMENT = { KUBECONFIG: lab.kubeconfig, PATH: `${lab.bin}:${process.env['PATH'] ?? ''}` };

export interface KubectlOptions {
  /** Standard input, for `-f -`. */
  readonly input?: string;
}

/** Runs kubectl on the lab and returns what it printed; throws with the end of its output unless it exits 0. */
export function kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
  return command([join(lab.bin, 'kubectl'), ...args], settings(options));
}

/** The same, for commands whose refusal is of interest. */
export function tryKubectl(args: readonly string[], options: KubectlOptions = {}): Promise<CommandResult> {
  return tryCommand([join(lab.bin, 'kubectl'), ...args], settings(options));
}

/** Shows command and output, and claims that it exits 0. */
export async function showKubectl(args: readonly string[]): Promise<string> {
  prompt(`kubectl ${args.join(' ')}`);
  const { code, stdout, stderr } = await tryKubectl(args);
  output(`${stdout}${stderr}`);
  if (code !== 0) claim(`kubectl ${args.join(' ')} exits 0`, false, `exit ${code}`);
  return stdout;
}

/** `kubectl … -o json`, parsed; undefined if the object is not there. */
export async function tryKubectlJson(args: readonly string[]): Promise<unknown> {
  const { code, stdout } = await tryKubectl([...args, '-o', 'json']);
  return code === 0 ? JSON.parse(stdout) : undefined;
}

/** A command line that only a shell can run (a pipe), shown and run as it stands, from the checkout. */
export async function showShell(line: string): Promise<void> {
  prompt(line);
  output(await command(['bash', '-o', 'pipefail', '-c', line], { cwd: checkout, env: CLUSTER_ENVIRONMENT }));
}

function settings(options: KubectlOptions) {
  return { cwd: checkout, env: CLUSTER_ENVIRONMENT, timeoutMs: 200_000, ...options };
}
