import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Programmer } from './engine.ts';
import { argumentsOf, environmentOf, type Inputs } from './inputs.ts';
import type { World } from './world.ts';

/** The rules that Istio's own tool writes for the same inputs. */
export const ISTIO_MODES = ['nft', 'iptables'] as const;
export type IstioMode = (typeof ISTIO_MODES)[number];

/** Istio's tool would not, or could not, write rules for these inputs. */
export class IstioFailed extends Error {
  override readonly name = 'IstioFailed';
}

const TIMEOUT_MS = 30_000;
const ERROR_CHARACTERS_MAX = 1_000;
/** `ip netns exec` puts what lies here in the place of /etc for the program it starts. */
const ETC = '/etc/netns';

export function istioProgrammer(
  world: World,
  options: { readonly pilotAgent: string; readonly mode: IstioMode; readonly inputs: Inputs },
): Programmer {
  const { pilotAgent, mode, inputs } = options;
  const etc = `${ETC}/${world.name}`;
  return {
    bring: () => {
      mkdirSync(etc, { recursive: true });
      writeFileSync(`${etc}/resolv.conf`, inputs.nameServers.map((server) => `nameserver ${server}\n`).join(''));
      // The legacy tools would be probed otherwise, and leave their tables behind.
      const how = mode === 'nft' ? ['--native-nftables'] : ['--force-iptables-binary', 'nft'];
      const argv = ['istio-iptables', ...argumentsOf(inputs), ...how];
      const { status, stdout, stderr, error } = spawnSync('ip', ['netns', 'exec', world.name, pilotAgent, ...argv], {
        env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', ...environmentOf(inputs) },
        encoding: 'utf8',
        timeout: TIMEOUT_MS,
      });
      if (error !== undefined) throw error;
      if (status !== 0) throw new IstioFailed(errorsIn(stdout + stderr));
    },
    remove: () => {
      rmSync(etc, { recursive: true, force: true });
      if (existsSync(ETC) && readdirSync(ETC).length === 0) rmdirSync(ETC);
      removeRouting(world, inputs);
    },
  };
}

/** From the first line that tells of an error, without what the tool says of its own memory limit. */
function errorsIn(output: string): string {
  const lines = output.split('\n').filter((line) => !line.includes('GOMEMLIMIT'));
  const first = lines.findIndex((line) => /\berror\b|Error:/.test(line));
  return lines.slice(Math.max(0, first)).join('\n').trim().slice(0, ERROR_CHARACTERS_MAX);
}

/** Istio has no way to take these back. */
function removeRouting(world: World, { mode, tproxyMark, tproxyRouteTable: table }: Inputs): void {
  const ip = (...argv: string[]) => spawnSync('ip', ['-netns', world.name, ...argv]);
  ip('-6', 'address', 'del', '::6/128', 'dev', 'lo');
  if (mode !== 'TPROXY') return;
  for (const family of ['-4', '-6']) {
    ip(family, 'rule', 'del', 'fwmark', String(tproxyMark), 'lookup', String(table));
    ip(family, 'route', 'flush', 'table', String(table));
  }
}
