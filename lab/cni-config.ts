import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { data, network } from './paths.ts';

/** Where containerd looks for CNI configuration and plugins, and what Istio's CNI plugin is told to change. */
export const cni = {
  confFolder: join(data.cni, 'net.d'),
  confFile: '10-lab.conflist',
  /** Debian's plugins. */
  systemBinFolder: '/usr/lib/cni',
  /** For plugins that somebody installs into the lab; goes with it. */
  binFolder: join(data.cni, 'bin'),
} as const;

const conflistPath = join(cni.confFolder, cni.confFile);

const CONFLIST = JSON.stringify(
  {
    cniVersion: '1.0.0',
    name: 'lab',
    plugins: [
      {
        type: 'bridge',
        bridge: network.bridge,
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(data.cni, 'leases'),
          ranges: [[{ subnet: network.podCidrIpv4 }], [{ subnet: network.podCidrIpv6 }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
    ],
  },
  null,
  2,
);

/** Writes the node's conflist; one that Istio's plugin is chained into stays, for it is in use. */
export function writeCniConfig(): void {
  mkdirSync(cni.confFolder, { recursive: true });
  mkdirSync(cni.binFolder, { recursive: true });
  if (!istioCniIsChained()) resetCniConfig();
}

/** Makes the conflist what it was before any plugin chained itself into it, and removes what plugins of others left. */
export function resetCniConfig(): void {
  if (!existsSync(conflistPath) || readFileSync(conflistPath, 'utf8') !== CONFLIST)
    writeFileSync(conflistPath, CONFLIST);
  rmSync(join(cni.binFolder, 'istio-cni'), { force: true });
}

/** True while the node's conflist names Istio's plugin. */
export function istioCniIsChained(): boolean {
  return existsSync(conflistPath) && /"type":\s*"istio-cni"/.test(readFileSync(conflistPath, 'utf8'));
}
