import { tryCommand } from './command.ts';
import { recordedDaemons, runningDaemon } from './daemon.ts';
import { readEscapes } from './guard.ts';
import { readOwner } from './owner.ts';
import { lab } from './paths.ts';
import { join } from 'node:path';

/** Prints what of the lab runs; returns true if all of it does. */
export async function status(): Promise<boolean> {
  const owner = readOwner();
  if (owner === undefined) {
    process.stdout.write('no lab on this machine (start one: make lab-up)\n');
    return false;
  }
  process.stdout.write(`lab of ${owner.checkout}, Kubernetes ${owner.kubernetes}, ${owner.runtime}, ${owner.mode}\n`);
  let whole = true;
  for (const name of recordedDaemons()) {
    const running = runningDaemon(name);
    whole = whole && running !== undefined;
    process.stdout.write(`  ${name.padEnd(24)} ${running === undefined ? 'NOT RUNNING' : `pid ${running.pid}`}\n`);
  }
  const escapes = await readEscapes().catch(() => undefined);
  whole = whole && escapes !== undefined;
  const counted = escapes === undefined ? 'NOT THERE' : `dropped ${escapes.ipv4} IPv4 and ${escapes.ipv6} IPv6 packets`;
  process.stdout.write(`  ${'guard'.padEnd(24)} ${counted}\n`);
  const pods = await tryCommand([
    join(lab.bin, 'kubectl'),
    '--kubeconfig',
    lab.kubeconfig,
    'get',
    'nodes,pods',
    '-A',
    '--request-timeout=5s',
  ]);
  process.stdout.write(pods.code === 0 ? `\n${pods.stdout}` : `the API server does not answer: ${pods.stderr}\n`);
  return whole && pods.code === 0;
}
