import type { Packet } from '../../src/ruleset/packet.ts';
import type { Endpoint } from '../../src/netns/sockaddr.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { Inputs } from './inputs.ts';
import type { Family, Interface } from './places.ts';

/** What the packets of a policy meet. */
export interface Circumstances {
  readonly inputs: Inputs;
  readonly ruleset: Ruleset;
  /** The proxy does not listen (yet, or any more). */
  readonly proxyAway: boolean;
}

/** One packet to be sent for real. What the kernel is free to choose is left open. */
export interface Trial {
  readonly direction: Packet['direction'];
  readonly family: Family;
  readonly protocol: Packet['protocol'];
  /** Undefined: the kernel's choice. Port 0: any. */
  readonly from: { readonly address: string | undefined; readonly port: number };
  readonly to: Endpoint;
  readonly interface: Interface | 'lo';
  /** Of the sending socket; only in the pod. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mark: number;
  /** `established`: more of a connection from before the policy. `invalid`: a SYN-ACK that answers nothing. Both TCP. */
  readonly state: 'new' | 'established' | 'invalid';
}

/** Where a packet was seen to end. */
export type Seen =
  | { readonly kind: 'passed' | 'dropped' }
  | { readonly kind: 'redirected' | 'tproxied'; readonly port: number }
  /** An RST or ICMP error came back. */
  | { readonly kind: 'refused'; readonly errno: string }
  /** A listener that has no business with it. */
  | { readonly kind: 'elsewhere'; readonly where: string };

export interface Sighting {
  readonly seen: Seen;
  /** Where it came from in the end. */
  readonly source: Endpoint;
  /** Of UDP: an answer of whoever got it came back to the sender as one from where it had sent to. */
  readonly answered: boolean;
}

/** The packet as the rules meet it. */
export function packetOf(trial: Trial, source: Endpoint): Packet {
  return {
    direction: trial.direction,
    family: trial.family,
    protocol: trial.protocol,
    source,
    destination: trial.to,
    interface: trial.interface,
    owner: trial.owner,
    mark: trial.mark,
    connection: { state: trial.state, mark: 0 },
  };
}

export function seenText(seen: Seen): string {
  switch (seen.kind) {
    case 'redirected':
    case 'tproxied':
      return `${seen.kind} ${seen.port}`;
    case 'refused':
      return `refused (${seen.errno})`;
    case 'elsewhere':
      return `elsewhere: ${seen.where}`;
    case 'passed':
    case 'dropped':
      return seen.kind;
  }
}

export function endpointText({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function trialText(trial: Trial): string {
  const { owner, mark, from } = trial;
  const details = [
    trial.state,
    `${trial.protocol} over IPv${trial.family}`,
    trial.direction,
    `by ${trial.interface}`,
    ...(from.address === undefined && from.port === 0
      ? []
      : [`from ${endpointText({ ...from, address: from.address ?? '' })}`]),
    `to ${endpointText(trial.to)}`,
    ...(owner === undefined ? [] : [`by uid ${owner.uid} gid ${owner.gid}`]),
    ...(mark === 0 ? [] : [`mark ${mark}`]),
  ];
  return details.join(' ');
}
