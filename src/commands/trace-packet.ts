import { isIP } from 'node:net';
import { containsCidr, parseCidr } from '../capture/cidr.ts';
import type { CapturePolicy, Cidr } from '../capture/policy.ts';
import { ControllerError } from '../errors.ts';
import type { Pod } from '../pod/pod.ts';
import type { Packet } from '../ruleset/packet.ts';
import type { Given } from './given.ts';

/** Where a manifest names no address, the pod has one for documentation (RFC 5737, RFC 3849). */
const STAND_IN = { 4: '198.51.100.10', 6: '2001:db8::10' } as const;
const OUTSIDE = { 4: '203.0.113.1', 6: '2001:db8:ffff::1' } as const;
const LOOPBACK: readonly Cidr[] = [
  { family: 4, address: '127.0.0.0', prefix: 8 },
  { family: 6, address: '::1', prefix: 128 },
];
/** An application that says nothing of its user; any id that is not the proxy's takes the same way. */
const APP_ID = 1_000;

/** The packet that `--from`, `--to`, `--uid`, `--gid` and `--interface` describe. Throws `Usage` naming the flag and what is allowed. */
export function packetFor(
  pod: Pod,
  policy: CapturePolicy,
  asked: { readonly from: string; readonly to: string; readonly given: Given },
): Packet {
  const { protocol, host, port } = target(asked.to);
  const family = host.includes(':') ? 6 : 4;
  const own = pod.podIPs.find((ip) => ip.includes(':') === (family === 6)) ?? STAND_IN[family];
  const address = host === 'pod' ? own : host;
  const inbound = asked.from === 'outside';
  const within = address === own || isLoopback(address);
  if (inbound && !within) throw usage('--to', asked.to, 'the pod itself (tcp://pod:PORT) with --from outside');
  return {
    direction: inbound ? 'inbound' : 'outbound',
    family,
    protocol,
    source: { address: inbound ? OUTSIDE[family] : isLoopback(address) ? address : own, port: 40_000 },
    destination: { address, port },
    interface: asked.given['interface'] ?? (within && !inbound ? 'lo' : 'eth0'),
    owner: inbound ? undefined : owner(pod, policy, asked),
    mark: 0,
    connection: { state: 'new', mark: 0 },
  };
}

function target(text: string): { readonly protocol: 'tcp' | 'udp'; readonly host: string; readonly port: number } {
  const match = /^(tcp|udp):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.]+)):([1-9][0-9]{0,4})$/.exec(text);
  const [, protocol, bracketed, plain, portText] = match ?? [];
  const named = plain === 'localhost' ? '127.0.0.1' : (bracketed ?? plain);
  const port = Number(portText);
  const known = named === 'pod' || (named !== undefined && isIP(named) === (bracketed === undefined ? 4 : 6));
  if ((protocol !== 'tcp' && protocol !== 'udp') || named === undefined || !known || port > 65_535) {
    throw usage('--to', text, 'tcp://ADDRESS:PORT or udp://ADDRESS:PORT, IPv6 in brackets, `pod` for the pod itself');
  }
  return { protocol, host: canonical(named), port };
}

function canonical(address: string): string {
  const parsed = address.includes(':') ? parseCidr(`${address}/128`) : undefined;
  return parsed?.ok === true ? parsed.value.address : address;
}

function owner(
  pod: Pod,
  policy: CapturePolicy,
  { from, given }: { readonly from: string; readonly given: Given },
): { readonly uid: number; readonly gid: number } {
  const proxy = { uid: policy.proxyUids.value[0] ?? 0, gid: policy.proxyGids.value[0] ?? 0 };
  const app = { uid: pod.securityContext.runAsUser ?? APP_ID, gid: pod.securityContext.runAsGroup ?? APP_ID };
  if (from !== 'app' && from !== 'proxy') throw usage('--from', from, 'app, proxy or outside');
  const who = from === 'proxy' ? proxy : app;
  return { uid: id(given, 'uid') ?? who.uid, gid: id(given, 'gid') ?? who.gid };
}

function id(given: Given, name: 'uid' | 'gid'): number | undefined {
  const text = given[name];
  if (text === undefined) return undefined;
  if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) throw usage(`--${name}`, text, 'a number');
  return Number(text);
}

function isLoopback(address: string): boolean {
  const host = parseCidr(`${address}/${address.includes(':') ? 128 : 32}`);
  return host.ok && LOOPBACK.some((range) => containsCidr(range, host.value));
}

function usage(flag: string, value: string, allowed: string): ControllerError {
  return new ControllerError('Usage', `${flag}: ${JSON.stringify(value)} is not allowed: ${allowed}`);
}
