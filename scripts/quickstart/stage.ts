import { chmodSync, copyFileSync, cpSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../lab/paths.ts';

/**
 * Copies for users without privilege: a checkout or a cache below a home directory is often closed to them.
 * Paths of the programs, and of a folder that Envoy may write to.
 */
export interface Stage {
  readonly directory: string;
  readonly node: string;
  readonly envoy: string;
  readonly actor: string;
  /** The product, as JavaScript for `node`. */
  readonly product: string;
  readonly logs: string;
}

/** Where everything of a stage is. Nothing is made. */
export function stageAt(directory: string): Stage {
  return {
    directory,
    node: join(directory, 'node'),
    envoy: join(directory, 'envoy'),
    actor: join(directory, 'actor.ts'),
    product: join(directory, 'bundle', 'istio-pod-network-controller.cjs'),
    logs: join(directory, 'logs'),
  };
}

/** Makes the folder with everything but Envoy, which may still be on its way. */
export function fillStage(stage: Stage): void {
  mkdirSync(stage.logs, { recursive: true });
  // Whatever the umask is: the users of the pod must get in.
  for (const folder of [stage.directory, stage.logs]) chmodSync(folder, 0o755);
  placeProgram(process.execPath, stage.node);
  copyFileSync(join(import.meta.dirname, 'actor.ts'), stage.actor);
  writeFileSync(join(stage.directory, 'package.json'), '{ "type": "module" }\n');
  cpSync(join(checkout, 'dist', 'bundle'), join(stage.directory, 'bundle'), { recursive: true });
}

/** A hundred megabytes are linked where the file system allows it, else copied. */
export function placeProgram(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
    chmodSync(target, 0o755);
  }
}

/** Removes the folder; no stage is fine. */
export function removeStage(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
