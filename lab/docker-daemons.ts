import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cni } from './cni-config.ts';
import type { Daemon } from './daemon.ts';
import { images } from './images.ts';
import { configs } from './node-config.ts';
import { socketAnswers } from './node-daemons.ts';
import { criDockerdSocket, data, dockerSocket } from './paths.ts';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker. It starts its own containerd, and finds that, the shim and runc by PATH. */
export function dockerd(bin: string): Daemon {
  return {
    name: 'dockerd',
    argv: [join(bin, 'dockerd'), '--config-file', configs.docker],
    env: { PATH: `${bin}:${SYSTEM_PATH}` },
    ready: () => socketAnswers(dockerSocket),
    readyTimeoutMs: 60_000,
  };
}

/** What makes a CRI runtime of Docker. It looks for the addresses of pods with `nsenter` and `ip`. */
export function criDockerd(bin: string): Daemon {
  mkdirSync(dirname(criDockerdSocket), { recursive: true });
  return {
    name: 'cri-dockerd',
    argv: [
      join(bin, 'cri-dockerd'),
      `--container-runtime-endpoint=unix://${criDockerdSocket}`,
      `--docker-endpoint=unix://${dockerSocket}`,
      `--cri-dockerd-root-directory=${data.criDockerd}`,
      `--pod-infra-container-image=${images.pause}`,
      '--network-plugin=cni',
      `--cni-bin-dir=${cni.systemBinFolder}`,
      `--cni-conf-dir=${cni.confFolder}`,
      `--cni-cache-dir=${join(data.cni, 'cache')}`,
      '--ipv6-dual-stack',
      '--streaming-bind-addr=127.0.0.1:0',
    ],
    env: { PATH: SYSTEM_PATH },
    ready: () => socketAnswers(criDockerdSocket),
    readyTimeoutMs: 60_000,
  };
}
