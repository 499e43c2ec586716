import type { Nft } from './libnftables.ts';

/**
 * Does nftables work in the current netns, for what the rules of every policy need? Throws the error that says what is missing. Changes nothing:
 * the kernel is asked to check a small table and to forget it again.
 */
export function probeNft(nft: Nft): void {
  nft.withContext((context) => context.check(SAMPLE));
}

/** One of each: comments, sets, intervals, owners, redirects of both hooks, both families. */
const SAMPLE = `add table inet istio_pod_network_controller_check {
	comment "policy 0000000000000000"
}
table inet istio_pod_network_controller_check {
	set ports {
		type inet_service
		elements = { 22, 15090 }
	}
	set ranges {
		type ipv6_addr
		flags interval
		elements = { 2001:db8::/32 }
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		iifname "lo" counter return comment "check"
		tcp dport @ports counter return comment "check"
		meta l4proto tcp counter redirect to :15006 comment "check"
	}
	chain output {
		type nat hook output priority -100; policy accept;
		meta skuid 1337 counter return comment "check"
		meta skgid != 1337 ip6 daddr @ranges counter jump outbound comment "check"
		oifname "lo" ip daddr != 127.0.0.1 meta l4proto tcp counter redirect to :15006 comment "check"
	}
	chain outbound {
		meta l4proto tcp counter redirect to :15001 comment "check"
	}
}
`;
