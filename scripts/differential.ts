import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * The simulator against the kernel, and our rules against Istio's, with random policies and packets that are really sent (as root):
 * `node scripts/differential.ts [--policies 2000] [--packets 50] [--istio 500] [--seed N] [--backend nft] [-o json]`.
 * In a process of its own, for it enters netns; exits 1 on any difference that is not explained.
 */
const program = join(import.meta.dirname, '..', 'test', 'differential', 'main.ts');
const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 2;
