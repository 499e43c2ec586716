import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.ts';
import { LabError } from './lab-error.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** A package of a Debian release that need not be this machine's. */
export interface DebianPackage {
  /** `bookworm`, `trixie`. */
  readonly suite: string;
  readonly name: string;
  /** What the version must begin with. */
  readonly version: string;
}

/**
 * Unpacks packages below `directory`, without installing anything: apt works on a root of its own inside, with the mirror this machine's
 * apt uses, so that the system's sources, lists and packages stay as they are. Throws LabError.
 */
export async function unpackDebianPackages(packages: readonly DebianPackage[], directory: string): Promise<void> {
  const root = join(directory, 'apt');
  for (const folder of ['state', 'lists/partial', 'cache/archives/partial', 'packages'])
    mkdirSync(join(root, folder), { recursive: true });
  const mirror = await debianMirror();
  const suites = [...new Set(packages.map(({ suite }) => suite))];
  const sources = suites.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join('');
  writeFileSync(join(root, 'sources.list'), sources);
  writeFileSync(join(root, 'status'), '');
  const apt = ['apt-get', '-q', ...aptOptions(root)];
  await command([...apt, 'update']);
  for (const { suite, name, version } of packages) {
    const before = new Set(readdirSync(join(root, 'packages')));
    await command([...apt, 'download', `${name}/${suite}`], { cwd: join(root, 'packages') });
    const file = readdirSync(join(root, 'packages')).find((entry) => !before.has(entry)) ?? '';
    if (!file.startsWith(`${name}_${version}`))
      throw new LabError(`Debian ${suite} has ${file || `no ${name}`}, and the lab needs ${name} ${version}…`);
    await command(['dpkg-deb', '--extract', join(root, 'packages', file), directory]);
  }
  rmSync(root, { recursive: true });
}

function aptOptions(root: string): string[] {
  const options = {
    'Dir::State': join(root, 'state'),
    'Dir::State::lists': join(root, 'lists'),
    'Dir::State::status': join(root, 'status'),
    'Dir::Cache': join(root, 'cache'),
    'Dir::Etc::sourcelist': join(root, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    // Without it apt gives its rights up for a user who may not read a folder of root's.
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  };
  return Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

async function debianMirror(): Promise<string> {
  const known = await mirrors();
  if (known[0] !== undefined) return known[0];
  // The origin of a source is known once its lists are there.
  await command(['apt-get', '-q', 'update']);
  const [mirror] = await mirrors();
  if (mirror === undefined)
    throw new LabError("this machine's apt knows no mirror of Debian, from which this runtime comes", {
      hint: 'Use another --runtime, or a Debian machine.',
    });
  return mirror;
}

async function mirrors(): Promise<string[]> {
  const filter = ['Created-By: Packages', 'Origin: Debian', 'Component: main'];
  const output = await command(['apt-get', 'indextargets', '--format', '$(RELEASE) $(REPO_URI)', ...filter]);
  const targets = output
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' '));
  // Security updates and the like are in archives of their own.
  return targets.flatMap(([release = '', uri = '']) => (release.includes('-') || uri === '' ? [] : [uri]));
}
