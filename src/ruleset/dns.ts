import type { CapturePolicy } from '../capture/policy.ts';
import { CHAINS, regularChain } from './chains.ts';
import { because, from, jump, owner, redirect, rule, tcpPort, to, udpFromPort, udpPort, zone } from './matches.ts';
import type { AddressTarget, Chain, Match, Rule } from './ruleset.ts';
import type { Targets } from './targets.ts';

/** DNS capture: queries of the application go to the DNS server in the proxy, which asks the real ones. */

export const DNS_PORT = 53;
/** Where Istio's agent serves DNS (pilot/cmd/pilot-agent DNSAddr); no setting changes it for a pod. */
export const DNS_CAPTURE_PORT = 15_053;

/**
 * Conntrack zones (Istio's numbers). A query of the application and the query that the proxy sends on for it can have the same addresses
 * and ports: in one zone the answer to one would be taken for the answer to the other. 1: between proxy and name servers. 2: between
 * application and proxy. The first zone a packet gets is its last: the kernel passes over later ones.
 */
export const ZONES = { upstream: 1, application: 2 } as const;

/** In nat output, after the proxy's own traffic has been let go. */
export function dnsOutput(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  if (policy.dns.value.kind === 'off') return [];
  const reason = because('captured DNS', policy.dns);
  return dnsServers(policy, targets).flatMap((server) => [
    rule(reason, [...toServer(server), tcpPort({ port: DNS_PORT })], jump(CHAINS.dns)),
    rule(reason, [...toServer(server), udpPort({ port: DNS_PORT })], jump(CHAINS.dns)),
  ]);
}

export function dnsChains({ dns }: CapturePolicy): readonly Chain[] {
  if (dns.value.kind === 'off') return [];
  const reason = because('DNS port of the proxy', dns);
  return regularChain(CHAINS.dns, [
    rule(reason, [{ kind: 'protocol', protocol: 'tcp' }], redirect(DNS_CAPTURE_PORT)),
    rule(reason, [{ kind: 'protocol', protocol: 'udp' }], redirect(DNS_CAPTURE_PORT)),
  ]);
}

/** Raw output: the zone of whatever leaves a socket of the pod. */
export function rawOutput(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  if (policy.dns.value.kind === 'off') return [];
  const owners: readonly Match[] = [
    ...policy.proxyUids.value.map((id) => owner('socketUid', id)),
    ...policy.proxyGids.value.map((id) => owner('socketGid', id)),
  ];
  return [
    ...owners.flatMap((by) => [
      rule('DNS query of the proxy', [by, udpPort({ port: DNS_PORT })], zone(ZONES.upstream)),
      rule('DNS answer of the proxy', [by, udpFromPort(DNS_CAPTURE_PORT)], zone(ZONES.application)),
    ]),
    ...dnsServers(policy, targets).map((server) =>
      rule('DNS query of the application', [...toServer(server), udpPort({ port: DNS_PORT })], zone(ZONES.application)),
    ),
  ];
}

/** Raw prerouting: answers of name servers belong to the proxy's queries. */
export function rawPrerouting(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  if (policy.dns.value.kind === 'off') return [];
  return dnsServers(policy, targets).map((server) =>
    rule('DNS answer to the proxy', [...fromServer(server), udpFromPort(DNS_PORT)], zone(ZONES.upstream)),
  );
}

/** `all`: one target without an address. */
function dnsServers({ dns }: CapturePolicy, targets: Targets): readonly (AddressTarget | 'all')[] {
  return dns.value.kind === 'servers' ? targets.addresses('dns_servers', dns.value.servers) : ['all'];
}

function toServer(server: AddressTarget | 'all'): readonly Match[] {
  return server === 'all' ? [] : [to(server)];
}

function fromServer(server: AddressTarget | 'all'): readonly Match[] {
  return server === 'all' ? [] : [from(server)];
}
