import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hostArch } from '../image/platform.ts';
import { ensureEnvoy } from '../lab/envoy.ts';
import { LabError, messageOf } from '../lab/lab-error.ts';
import { checkout, lab } from '../lab/paths.ts';
import { type Background, inBackground, inForeground, stopAll } from './demo/background.ts';
import { applyBookinfo, untilReady } from './demo/bookinfo.ts';
import { installChart, showAgentPrivileges } from './demo/chart.ts';
import { showPodPrivileges, showPods } from './demo/mesh-pods.ts';
import { showPage } from './demo/page.ts';
import type { DemoPod } from './demo/pods.ts';
import { prepareNamespace, showAdmission, showRefusal } from './demo/refused.ts';
import { prepareMachine } from './machine.ts';
import { ClaimFailed, note, prompt, seconds, table, title, watched } from './presentation.ts';
import { buildProduct } from './quickstart/product.ts';

/**
 * `make demo`: a real Kubernetes with a stock Istio on this machine, our chart, bookinfo. While the parts build, the quickstart is shown.
 * Leaves the lab up. Run again, it goes on with what is there. Exit codes: 0 all claims hold, 1 one does not, or bad usage, 2 could not
 * do it, 130 and 143 ended by a signal.
 */
async function main(argv: readonly string[]): Promise<number> {
  parseArgs({ args: [...argv], options: {} });
  const times: [string, number][] = [];
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const beganMs = performance.now();
    const result = await work();
    times.push([name, performance.now() - beganMs]);
    return result;
  };
  await timed('this machine: packages, Envoy, bin/', async () => {
    await prepareMachine();
    await Promise.all([buildProduct(), ensureEnvoy()]);
  });
  const lab = startLab();
  await timed('quickstart, while the lab is built', quickstart);
  const archive = await timed('lab: Kubernetes, Istio, images (the rest of it)', () => finishLab(lab));
  await timed('a stock mesh pod is refused', async () => {
    await prepareNamespace();
    await showRefusal();
  });
  await timed('our chart', () => installChart(archive));
  await timed('the same pod is admitted', showAdmission);
  const pods = await timed('bookinfo: applied until every pod is ready', async (): Promise<readonly DemoPod[]> => {
    await applyBookinfo();
    return await untilReady();
  });
  await timed('the product page through the mesh', showPage);
  await showPods(pods);
  showPodPrivileges(pods);
  await showAgentPrivileges();
  conclude(times);
  return 0;
}

interface LabStart {
  readonly up: Background;
  readonly image: Background;
  readonly bookinfo: Background;
}

function startLab(): LabStart {
  note('The lab is built and started in the background. Meanwhile, the quickstart:');
  return {
    up: inBackground('lab up', ['lab/main.ts', 'up']),
    image: inBackground('image', ['image/build.ts', '--bundle', join('dist', 'bundle')]),
    bookinfo: inBackground('bookinfo images', ['lab/bookinfo/build.ts', join('dist', 'bookinfo')]),
  };
}

async function quickstart(): Promise<void> {
  if (await inForeground(['scripts/quickstart.ts', '--built'])) return;
  throw new ClaimFailed('the quickstart succeeds', 'see above');
}

/** Returns the path of the product's image archive, which the lab has loaded. */
async function finishLab({ up, image, bookinfo }: LabStart): Promise<string> {
  title('The lab: Kubernetes, containerd, Istio with automatic injection (istio-init)');
  for (const part of [up, image, bookinfo]) {
    part.show();
    if (!(await part.ended).ok) throw new LabError(`${part.name} failed, see above`);
  }
  const archive = join(checkout, 'dist', `istio-pod-network-controller-${hostArch()}.oci.tar`);
  const paths = (await bookinfo.ended).text.split('\n').filter((line) => line.endsWith('.tar'));
  const images = [archive, ...paths].flatMap((path) => ['--image', path]);
  const loading = inBackground('loading the images', ['lab/main.ts', 'up', ...images]);
  const { ok, text } = await watched('loading the images of the product and of bookinfo', loading.ended);
  if (!ok) throw new LabError(`loading the images failed:\n${text}`);
  return archive;
}

function conclude(times: readonly (readonly [string, number])[]): void {
  title('How long it took');
  const total = times.reduce((sum, [, ms]) => sum + ms, 0);
  const rows = [...times, ['all of it', total] as const].map(([name, ms]) => [name, seconds(ms)]);
  table([['step', 'time'], ...rows]);
  title('The lab stays up. Try next');
  prompt(`export KUBECONFIG=${lab.kubeconfig} PATH=${lab.bin}:$PATH`);
  prompt('kubectl get pods -n bookinfo');
  prompt('kubectl logs -n bookinfo deploy/productpage-v1 -c istio-pod-network-controller-gate');
  prompt('kubectl get events -n bookinfo --field-selector reason=Captured');
  prompt('kubectl logs -n istio-pod-network-controller daemonset/istio-pod-network-controller');
  prompt(
    'kubectl exec -n bookinfo deploy/ratings-v1 -c ratings -- /bookinfo fetch http://productpage:9080/productpage',
  );
  prompt('make lab-status');
  prompt('make lab-down     # leaves nothing behind');
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
for (const [signal, code] of Object.entries(SIGNALS)) {
  process.once(signal, () => {
    process.stderr.write(`\n${signal}: the lab stays as far as it came; make lab-down removes it\n`);
    void stopAll().finally(() => process.exit(code));
  });
}
// Someone who reads only the first lines (`| head`) has read enough.
process.stdout.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error: unknown) {
  await stopAll();
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  process.exitCode = usage || error instanceof ClaimFailed ? 1 : 2;
}
