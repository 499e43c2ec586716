import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

/**
 * A fresh pod-like netns for one measurement: lo up, and for both families an address and a default route into a veth whose other end
 * answers nothing. Documentation addresses.
 */
export interface PodNetns {
  readonly name: string;
  readonly path: string;
  readonly remove: () => void;
}

const FOLDER = '/run/netns';
const PREFIX = 'pnc-bench';
/** Its IPv4 address. */
export const POD_IP = '198.51.100.2';
const WIRING = [
  'link set lo up',
  'link add eth0 type veth peer name peer0',
  `address add ${POD_IP}/24 dev eth0`,
  'address add 2001:db8:1::2/64 dev eth0 nodad',
  'link set peer0 up',
  'link set eth0 up',
  'route add default dev eth0',
  'route add ::/0 dev eth0',
].join('\n');
let made = 0;

export function createPodNetns(): PodNetns {
  if (made === 0) removeLeftovers();
  made += 1;
  const name = `${PREFIX}-${process.pid}-${made}`;
  execFileSync('ip', ['netns', 'add', name]);
  execFileSync('ip', ['-n', name, '-batch', '-'], { input: WIRING });
  const remove = (): void => void execFileSync('ip', ['netns', 'delete', name]);
  return { name, path: `${FOLDER}/${name}`, remove };
}

export function inFreshNetns<T>(work: (netns: PodNetns) => T): T {
  const netns = createPodNetns();
  try {
    return work(netns);
  } finally {
    netns.remove();
  }
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) execFileSync('ip', ['netns', 'delete', name]);
  }
}
