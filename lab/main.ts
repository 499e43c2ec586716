import { parseArgs } from 'node:util';
import { processesOfLab } from './cgroup.ts';
import { ensureHelm3 } from './helm3.ts';
import { loadImage } from './images.ts';
import { istioCommand } from './istio-command.ts';
import { modeOfFlags } from './istio-mode.ts';
import { DEFAULT_KUBERNETES, isKubernetesMinor, KUBERNETES } from './kubernetes.ts';
import { LabError, messageOf } from './lab-error.ts';
import { readOwner, refuseOthers, withLock } from './owner.ts';
import { preflight } from './preflight.ts';
import { say, step } from './progress.ts';
import { isRestartable, RESTARTABLE, restartProcess } from './restart.ts';
import { DEFAULT_RUNTIME, isRuntime, RUNTIMES } from './runtime.ts';
import { status } from './status.ts';
import { leftovers, teardown } from './teardown.ts';
import { up } from './up.ts';

const USAGE = `usage: node lab/main.ts COMMAND
  up [--istio-cni | --istio-cni-plugin] [--kubernetes=1.36|1.35] [--runtime=containerd|containerd-1.6|docker] [--image FILE]…
                                     start the lab, or what of it does not run; load the images
  load FILE…                         load OCI archives into the lab's container runtime
  istio [--istio-cni | --istio-cni-plugin] [--values FILE]… [--revision NAME [--remove]]
                                     change how Istio is installed: istio-init (no flag); istiod for a CNI plugin that
                                     is not there; Istio's own CNI plugin; or a second istiod beside the first
  helm3                              build Helm 3 once, as .lab/bin/helm3
  restart NAME [--kill]              end one process (kube-apiserver, containerd, kubelet) and start it again
  status                             what of the lab runs; exit 1 if not all of it
  down                               end the lab and leave nothing behind
`;

async function main(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === 'up') return upCommand(rest);
  if (verb === 'down' && rest.length === 0) return downCommand();
  if (verb === 'load' && rest.length > 0) return loadCommand(rest);
  if (verb === 'istio') return istioCommand(rest).then(() => 0);
  if (verb === 'helm3' && rest.length === 0) return helm3Command();
  if (verb === 'restart') return restartCommand(rest);
  if (verb === 'status' && rest.length === 0) return (await status()) ? 0 : 1;
  process.stderr.write(USAGE);
  return 1;
}

async function upCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'istio-cni': { type: 'boolean', default: false },
      'istio-cni-plugin': { type: 'boolean', default: false },
      kubernetes: { type: 'string', default: DEFAULT_KUBERNETES },
      runtime: { type: 'string', default: DEFAULT_RUNTIME },
      image: { type: 'string', multiple: true, default: [] },
    },
  });
  const { kubernetes, runtime, image: images } = values;
  if (!isKubernetesMinor(kubernetes))
    throw new LabError(`up: --kubernetes=${kubernetes}: give one of ${KUBERNETES.join(', ')}`);
  if (!isRuntime(runtime)) throw new LabError(`up: --runtime=${runtime}: give one of ${RUNTIMES.join(', ')}`);
  const mode = modeOfFlags({ cni: values['istio-cni'], plugin: values['istio-cni-plugin'] });
  await preflight({});
  await withLock('up', () => up({ mode, kubernetes, runtime, images }));
  return 0;
}

async function downCommand(): Promise<number> {
  await preflight({});
  await withLock('down', async () => {
    const owner = readOwner();
    refuseOthers(owner, processesOfLab().length > 0, 'down');
    if (owner === undefined && (await leftovers()).length === 0) return say('no lab on this machine');
    await teardown(owner);
    return say('the lab is down');
  });
  return 0;
}

async function loadCommand(archives: readonly string[]): Promise<number> {
  await withLock('load', async () => {
    for (const archive of archives) await step(`loading ${archive}`, () => loadImage(archive));
  });
  return 0;
}

async function helm3Command(): Promise<number> {
  await withLock('helm3', async () => say(await ensureHelm3()));
  return 0;
}

async function restartCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { kill: { type: 'boolean' } },
    allowPositionals: true,
  });
  const [name = ''] = positionals;
  if (!isRestartable(name) || positionals.length !== 1)
    throw new LabError(`restart: give one of ${RESTARTABLE.join(', ')}`);
  await withLock('restart', () => step(`${name} again`, () => restartProcess(name, { kill: values.kill === true })));
  return 0;
}

// Someone who reads only the first lines (`| head`) has read enough.
process.stdout.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = 2;
}
