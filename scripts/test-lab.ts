import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImage } from '../image/build.ts';
import { hostArch } from '../image/platform.ts';
import { buildBookinfoImages } from '../lab/bookinfo/build.ts';
import { command } from '../lab/command.ts';
import { readOwner } from '../lab/owner.ts';
import { checkout, criDockerdSocket, dockerSocket, lab } from '../lab/paths.ts';
import { runStep } from './run-steps.ts';

/**
 * Brings up what the cluster tests run on: this checkout's image and chart on the lab, installed as the README says.
 * Arguments go to `lab up`, such as --kubernetes=1.35 or --runtime=docker.
 */
const archives = [
  await buildImage({ arch: hostArch(), bundleDir: undefined }),
  ...(await buildBookinfoImages(join(checkout, 'dist', 'bookinfo'))),
];
const images = archives.flatMap((archive) => ['--image', archive]);
const up = await runStep(
  { name: 'lab up', argv: ['node', 'lab/main.ts', 'up', ...process.argv.slice(2), ...images] },
  { live: true },
);
if (up.ok) await install();
process.exitCode = up.ok ? 0 : 2;

async function install(): Promise<void> {
  const said = installCommand(readFileSync(join(checkout, 'README.md'), 'utf8'));
  const line = said.replace(' | ', `${runtimeSettings().join('')} | `);
  process.stdout.write(`${line}\n`);
  // A pipe is the shell's, so this one command goes to one: it is what people type.
  const env = { PATH: `${lab.bin}:${process.env.PATH ?? ''}`, KUBECONFIG: lab.kubeconfig };
  process.stdout.write(await command(['bash', '-o', 'pipefail', '-c', line], { cwd: checkout, env }));
  const namespace = ['-n', 'istio-pod-network-controller'];
  const kubectl = [join(lab.bin, 'kubectl'), `--kubeconfig=${lab.kubeconfig}`];
  const workloads = ['daemonset/istio-pod-network-controller', 'deployment/istio-pod-network-controller-webhook'];
  // An image of the same tag was there before: what runs would go on with the old one.
  await command([...kubectl, 'rollout', 'restart', ...namespace, ...workloads]);
  for (const workload of workloads) {
    const rollout = ['rollout', 'status', ...namespace, workload, '--timeout=180s'];
    process.stdout.write(await command([...kubectl, ...rollout], { timeoutMs: 200_000 }));
  }
}

/** What docs/runtimes.md says about Docker, with the lab's places. */
function runtimeSettings(): readonly string[] {
  if (readOwner()?.runtime !== 'docker') return [];
  const values = ['docker.enabled=true', `docker.socket=${dockerSocket}`, `criSocket=${criDockerdSocket}`];
  return values.map((value) => ` --set agent.${value}`);
}

/** The README's own words for the installation, so that they cannot go stale. */
function installCommand(readme: string): string {
  const line = readme.split('\n').find((candidate) => candidate.startsWith('helm template '));
  if (line === undefined) throw new Error('README.md no longer says how the chart is installed (helm template …)');
  return line;
}
