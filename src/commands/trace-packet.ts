import { isIP } from 'node:net';
import { isLoopbackAddress, parseCidr } from '../capture/cidr.ts';
import type { CapturePolicy } from '../capture/policy.ts';
import type { Pod, SecurityContext } from '../pod/pod.ts';
import type { Packet } from '../ruleset/packet.ts';
import { type Given, notAllowed } from './given.ts';

/** What `--from`, `--to`, `--uid`, `--gid` and `--interface` ask for. */
export interface TraceRequest {
  readonly from: 'app' | 'proxy' | 'outside';
  readonly protocol: 'tcp' | 'udp';
  /** `pod`, `pod6` (the pod by IPv6), or a canonical address. */
  readonly host: string;
  readonly port: number;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly interface: string | undefined;
}

/** Where a manifest names no address, the pod has one for documentation (RFC 5737, RFC 3849). */
const STAND_IN = { 4: '198.51.100.10', 6: '2001:db8::10' } as const;
const OUTSIDE = { 4: '203.0.113.1', 6: '2001:db8:ffff::1' } as const;
/** Any port the kernel could have chosen; no rule asks for one of these. */
const EPHEMERAL_PORT = 40_000;
/** An application that says nothing of its user; any id that is not the proxy's takes the same way. */
const APP_ID = 1_000;
/** (uid_t)-1 is nobody's id. */
const ID_MAX = 4_294_967_294;

/** Throws `Usage` naming the flag, its value and what is allowed. */
export function traceRequest(from: string, to: string, given: Given): TraceRequest {
  if (from !== 'app' && from !== 'proxy' && from !== 'outside')
    throw notAllowed('--from', from, 'app, proxy or outside');
  const { protocol, host, port } = target(to);
  return {
    from,
    protocol,
    host,
    port,
    uid: idOf('uid', from, given),
    gid: idOf('gid', from, given),
    interface: interfaceOf(from, given['interface']),
  };
}

/** The first packet of a connection as the pod's rules meet it. Throws `Usage` if it cannot be one of this pod. */
export function packetFor(pod: Pod, policy: CapturePolicy, request: TraceRequest): Packet {
  const { from, protocol, host, port } = request;
  const family = host === 'pod6' || host.includes(':') ? 6 : 4;
  const own = ownAddress(pod, host) ?? pod.podIPs.find((ip) => ip.includes(':') === (family === 6)) ?? STAND_IN[family];
  const address = isPod(host) ? own : host;
  const inbound = from === 'outside';
  const within = isPod(host) || pod.podIPs.includes(host) || isLoopbackAddress(host);
  if (inbound && (!within || isLoopbackAddress(host))) {
    const known = pod.podIPs.length === 0 ? '' : ` (${pod.podIPs.join(' or ')})`;
    throw notAllowed('--to', host, `the pod itself${known} with --from outside: ${protocol}://pod:${port} or pod6`);
  }
  return {
    direction: inbound ? 'inbound' : 'outbound',
    family: familyOf(address),
    protocol,
    source: {
      address: inbound ? OUTSIDE[familyOf(address)] : isLoopbackAddress(address) ? address : own,
      port: EPHEMERAL_PORT,
    },
    destination: { address, port },
    interface: request.interface ?? (within && !inbound ? 'lo' : 'eth0'),
    owner: inbound ? undefined : ownerOf(pod, policy, request),
    mark: 0,
    connection: { state: 'new', mark: 0 },
  };
}

function target(text: string): Pick<TraceRequest, 'protocol' | 'host' | 'port'> {
  const match = /^(tcp|udp):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.]+)):([1-9][0-9]{0,4})$/.exec(text);
  const [, protocol, bracketed, plain, portText] = match ?? [];
  const host =
    plain !== undefined && isPod(plain) ? plain : addressOf(plain === 'localhost' ? '127.0.0.1' : (bracketed ?? plain));
  const port = Number(portText);
  const fits = isPod(host ?? '') || (bracketed === undefined) === (isIP(host ?? '') === 4);
  if ((protocol !== 'tcp' && protocol !== 'udp') || host === undefined || !fits || port > 65_535) {
    throw notAllowed(
      '--to',
      text,
      'tcp://ADDRESS:PORT or udp://ADDRESS:PORT, an IPv6 address in brackets; instead of an address also pod, pod6 or localhost. Other names are not looked up',
    );
  }
  return { protocol, host, port };
}

function isPod(host: string): boolean {
  return host === 'pod' || host === 'pod6';
}

/** The pod's address that the host stands for, if the manifest knows it. */
function ownAddress(pod: Pod, host: string): string | undefined {
  if (host === 'pod') return pod.podIPs[0];
  return host === 'pod6' ? pod.podIPs.find((ip) => ip.includes(':')) : undefined;
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** In canonical form; IPv4 in IPv6 form is on no wire. */
function addressOf(text: string | undefined): string | undefined {
  const family = isIP(text ?? '');
  const parsed = family === 0 ? undefined : parseCidr(`${text}/${family === 4 ? 32 : 128}`);
  return parsed?.ok === true ? parsed.value.address : undefined;
}

function ownerOf(pod: Pod, policy: CapturePolicy, { from, uid, gid }: TraceRequest): Packet['owner'] {
  const { proxyUids, proxyGids } = policy;
  if (from === 'proxy') return { uid: uid ?? proxyUids.value[0] ?? 0, gid: gid ?? proxyGids.value[0] ?? 0 };
  const said = applicationContext(pod);
  return {
    uid: uid ?? said?.runAsUser ?? pod.securityContext.runAsUser ?? other(proxyUids.value),
    gid: gid ?? said?.runAsGroup ?? pod.securityContext.runAsGroup ?? other(proxyGids.value),
  };
}

/** Of the first container that is neither the proxy nor starts before it. */
function applicationContext(pod: Pod): SecurityContext | undefined {
  return pod.containers.find(({ args }) => args[0] !== 'proxy')?.securityContext;
}

function other(ids: readonly number[]): number {
  let id = APP_ID;
  while (ids.includes(id)) id += 1;
  return id;
}

function idOf(name: 'uid' | 'gid', from: string, given: Given): number | undefined {
  const text = given[name];
  if (text === undefined) return undefined;
  if (from === 'outside')
    throw notAllowed(`--${name}`, text, 'none with --from outside: no process of the pod sends that');
  const id = /^(0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : Number.NaN;
  if (!(id <= ID_MAX)) throw notAllowed(`--${name}`, text, `a whole number from 0 to ${ID_MAX}`);
  return id;
}

function interfaceOf(from: string, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  // IFNAMSIZ: at most 15 bytes.
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(name))
    throw notAllowed('--interface', name, 'a name such as eth0, at most 15 characters');
  if (from === 'outside' && name === 'lo') throw notAllowed('--interface', name, 'any but lo with --from outside');
  return name;
}
