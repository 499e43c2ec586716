import { join } from 'node:path';
import { command } from './command.ts';
import { LabError } from './lab-error.ts';
import { findGo } from './preflight.ts';

const BUILD_TIMEOUT_MS = 60 * 60_000;

/** Runs `go build …` in one of the lab's module folders (`.` is lab/ itself). Throws LabError with the compiler's last lines. */
export async function goBuild(
  args: readonly string[],
  options: { readonly folder: string; readonly cgo?: boolean },
): Promise<void> {
  await command([requireGo(), 'build', ...args], {
    cwd: join(import.meta.dirname, options.folder),
    env: { CGO_ENABLED: options.cgo === true ? '1' : '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
    timeoutMs: BUILD_TIMEOUT_MS,
  });
}

/** Folder with the sources of a module that lab/go.mod names; fetches them if they are not cached. */
export async function moduleSources(module: string): Promise<string> {
  const go = requireGo();
  const cwd = import.meta.dirname;
  await command([go, 'mod', 'download', module], { cwd, timeoutMs: BUILD_TIMEOUT_MS });
  return (await command([go, 'list', '-m', '-f', '{{.Dir}}', module], { cwd })).trim();
}

function requireGo(): string {
  const go = findGo();
  if (go === undefined)
    throw new LabError('Go is missing: unpack Go 1.26 or newer to /usr/local/go, or put `go` on PATH.');
  return go;
}
