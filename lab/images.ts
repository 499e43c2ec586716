import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto } from './cache.ts';
import { command } from './command.ts';
import { loadIntoDocker } from './docker-load.ts';
import { writeOciArchive, type ImageConfig } from './oci-archive.ts';
import { readOwner } from './owner.ts';
import type { Parts } from './parts.ts';
import { cacheDirectory, containerdSocket, lab } from './paths.ts';
import { step } from './progress.ts';
import { RootFolder } from './root-folder.ts';

/** Names of the images that the lab makes itself. The tag is not `latest`, so with IfNotPresent nothing is ever pulled. */
export const images = {
  proxy: 'docker.io/istio/proxyv2:lab',
  pilot: 'docker.io/istio/pilot:lab',
  installCni: 'docker.io/istio/install-cni:lab',
  coredns: 'docker.io/lab/coredns:lab',
  pause: 'docker.io/lab/pause:lab',
} as const;

interface Recipe {
  readonly reference: string;
  /** Not loaded by `up`, but by whoever needs it. */
  readonly onRequest?: boolean;
  readonly config: ImageConfig;
  readonly fill: (root: RootFolder, parts: Parts) => Promise<void>;
}

const PASSWD = 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n';
const ISTIO_PASSWD = `${PASSWD}istio-proxy:x:1337:1337:istio-proxy:/:/sbin/nologin\n`;
const ISTIO_GROUP = 'root:x:0:\nnogroup:x:65534:\nistio-proxy:x:1337:\n';
const IPTABLES_NAMES = [
  'iptables',
  'iptables-save',
  'iptables-restore',
  'ip6tables',
  'ip6tables-save',
  'ip6tables-restore',
];
const XTABLES_MODULES = '/usr/lib/x86_64-linux-gnu/xtables';

const RECIPES: readonly Recipe[] = [
  { reference: images.proxy, config: { entrypoint: ['/usr/local/bin/pilot-agent'] }, fill: fillProxy },
  {
    reference: images.pilot,
    config: { entrypoint: ['/usr/local/bin/pilot-discovery'], user: '1337:1337' },
    fill: async (root, parts) => {
      accounts(root);
      root.copy(join(parts.bin, 'pilot-discovery'), '/usr/local/bin/pilot-discovery');
    },
  },
  {
    reference: images.installCni,
    onRequest: true,
    config: { entrypoint: ['/usr/local/bin/install-cni'] },
    fill: fillInstallCni,
  },
  {
    reference: images.coredns,
    config: { entrypoint: ['/coredns'], user: '65532:65532' },
    fill: async (root, parts) => root.copy(join(parts.bin, 'coredns'), '/coredns'),
  },
  {
    reference: images.pause,
    config: { entrypoint: ['/pause'], user: '65534:65534' },
    fill: (root) => compilePause(join(root.folder, 'pause')),
  },
];

/** Archives of the images that every lab needs, made if not cached. */
export async function ensureImages(parts: Parts): Promise<readonly string[]> {
  const directory = await ensureArchives(parts);
  return RECIPES.filter((recipe) => recipe.onRequest !== true).map((recipe) => join(directory, archiveName(recipe)));
}

/** The archive of one of the lab's own images, made if not cached. */
export async function imageArchive(parts: Parts, reference: string): Promise<string> {
  return join(await ensureArchives(parts), archiveName({ reference }));
}

/** The folder of all archives. Its key is what goes into them. */
async function ensureArchives(parts: Parts): Promise<string> {
  const directory = join(cacheDirectory(), `images-${keyOfImages(parts)}`);
  await builtInto(directory, (temporary) =>
    step('packing the images of Istio and CoreDNS', async () => {
      for (const recipe of RECIPES) await pack(recipe, parts, temporary);
    }),
  );
  return directory;
}

/** Loads one OCI or docker archive into the lab's container runtime, under the name it carries. */
export async function loadImage(archive: string): Promise<void> {
  if (readOwner()?.runtime === 'docker') return loadIntoDocker(archive);
  const ctr = [join(lab.bin, 'ctr'), '--address', containerdSocket, '--namespace', 'k8s.io'];
  await command([...ctr, 'images', 'import', '--local', '--digests=false', archive], { timeoutMs: 300_000 });
  return undefined;
}

async function pack(recipe: Recipe, parts: Parts, directory: string): Promise<void> {
  const root = new RootFolder(join(directory, 'root'));
  await recipe.fill(root, parts);
  const archive = join(directory, archiveName(recipe));
  await writeOciArchive({ rootFolder: root.folder, archive, reference: recipe.reference, config: recipe.config });
  rmSync(root.folder, { recursive: true });
}

function archiveName(recipe: Pick<Recipe, 'reference'>): string {
  return `${recipe.reference.replace(/^.*\//, '').replace(':', '-')}.tar`;
}

/** The stock istio-init runs from this image too, so it holds iptables in both variants, and nft for Istio's native mode. */
async function fillProxy(root: RootFolder, parts: Parts): Promise<void> {
  accounts(root);
  root.copy(join(parts.bin, 'pilot-agent'), '/usr/local/bin/pilot-agent');
  root.copy(parts.envoy, '/usr/local/bin/envoy');
  root.copy(parts.bootstrapTemplate, '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json');
  await addIptables(root, [parts.envoy]);
}

/** Istio's plugin and what puts it on the node. The plugin uses the node's iptables; repairing a pod is done with the image's. */
async function fillInstallCni(root: RootFolder, parts: Parts): Promise<void> {
  accounts(root);
  root.copy(join(parts.bin, 'install-cni'), '/usr/local/bin/install-cni');
  root.copy(join(parts.bin, 'istio-cni'), '/opt/cni/bin/istio-cni');
  await addIptables(root);
}

/** iptables in both variants and nft, with the libraries of these and of `others`. */
async function addIptables(root: RootFolder, others: readonly string[] = []): Promise<void> {
  const programs = ['/usr/sbin/xtables-nft-multi', '/usr/sbin/xtables-legacy-multi', '/usr/sbin/nft'];
  for (const program of programs) root.copy(program, program);
  await root.copyLibrariesOf([...others, ...programs]);
  for (const module of readdirSync(XTABLES_MODULES))
    root.copy(join(XTABLES_MODULES, module), join(XTABLES_MODULES, module));
  for (const name of IPTABLES_NAMES) {
    root.link('xtables-nft-multi', `/usr/sbin/${name}`);
    root.link('xtables-nft-multi', `/usr/sbin/${name.replace('tables', 'tables-nft')}`);
    root.link('xtables-legacy-multi', `/usr/sbin/${name.replace('tables', 'tables-legacy')}`);
  }
  // xtables takes its lock here.
  root.makeFolder('/run', 0o755);
}

function accounts(root: RootFolder): void {
  root.write('/etc/passwd', ISTIO_PASSWD);
  root.write('/etc/group', ISTIO_GROUP);
  root.makeFolder('/tmp', 0o1777);
}

/** Holds the sandbox's namespaces: waits for a signal that ends it, and reaps. No C library, so the image is this one file. */
async function compilePause(target: string): Promise<void> {
  const source = join(import.meta.dirname, 'pause.c');
  await command(['gcc', '-Os', '-static', '-nostdlib', '-fno-stack-protector', '-o', target, source]);
}

function keyOfImages(parts: Parts): string {
  const hash = createHash('sha256').update(parts.key).update(parts.envoy);
  for (const file of ['images.ts', 'oci-archive.ts', 'root-folder.ts', 'pause.c']) {
    hash.update(readFileSync(join(import.meta.dirname, file)));
  }
  for (const program of ['/usr/sbin/xtables-nft-multi', '/usr/sbin/nft'])
    if (existsSync(program)) hash.update(readFileSync(program));
  return hash.digest('hex').slice(0, 16);
}
