import { libc } from '../../src/netns/libc.ts';
import type { Endpoint } from '../../src/netns/sockaddr.ts';
import { isOwn, LOOPBACK } from './places.ts';
import { ANY, listenOn, TCP, UDP } from './sockets.ts';
import { asOwner } from './syscalls.ts';
import type { Trial } from './trial.ts';
import type { Listener, World } from './world.ts';

/** Istio's DNS server in the proxy. */
const DNS_CAPTURE_PORT = 15_053;
export const APP = { uid: 1_000, gid: 1_000 } as const;

/** Whose ports the pod's proxy has, and who it is. */
export interface ProxyOf {
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly uid: number;
  readonly gid: number;
  /** It does not listen. */
  readonly away: boolean;
}

/** Listeners of the pod for as long as `work` runs: the proxy's, and the application's on every port that a packet is for. */
export function withListeners<T>(
  world: World,
  options: { readonly proxy: ProxyOf; readonly trials: readonly Trial[] },
  work: (listeners: readonly Listener[]) => T,
): T {
  const opened: Listener[] = [];
  try {
    world.inside('pod', () => open(options.proxy, options.trials, opened));
    return work([...opened, ...world.catchers]);
  } finally {
    for (const { fd } of opened) libc().close(fd);
  }
}

function open(proxy: ProxyOf, trials: readonly Trial[], opened: Listener[]): void {
  const taken = new Set<string>();
  const add = (listener: Omit<Listener, 'fd' | 'place'>, endpoint: Endpoint, transparent: boolean): void => {
    const { family, protocol, port } = listener;
    const name = `${family} ${protocol} ${port}`;
    if (taken.has(name)) return;
    taken.add(name);
    const fd = listenOn({ family, type: protocol === 'tcp' ? TCP : UDP, endpoint, transparent });
    opened.push({ ...listener, fd, place: 'pod' });
  };
  asOwner(proxy, () => {
    if (proxy.away) return;
    for (const family of [4, 6] as const) {
      for (const port of [proxy.outboundPort, proxy.inboundPort, DNS_CAPTURE_PORT]) {
        add({ family, protocol: 'tcp', port }, { address: ANY[family], port }, port === proxy.inboundPort);
      }
      // As Istio's agent does: its answers must come from where redirected queries go.
      const dns = { address: LOOPBACK[family], port: DNS_CAPTURE_PORT };
      add({ family, protocol: 'udp', port: DNS_CAPTURE_PORT }, dns, false);
    }
  });
  asOwner(APP, () => {
    for (const { family, protocol, to } of trials) {
      if (isOwn(family, to.address)) add({ family, protocol, port: to.port }, { ...to, address: ANY[family] }, false);
    }
  });
}
