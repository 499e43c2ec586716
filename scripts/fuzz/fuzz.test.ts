import { describe, expect, it } from 'vitest';
import { fuzz } from './fuzz.ts';
import { hostilePod } from './hostile-pod.ts';
import { SETTINGS } from './settings.ts';
import { strangerInIptables, strangerInNft } from './vocabulary.ts';

describe('hostile values', () => {
  it('are parsed or refused; none crashes, hangs or reaches a backend as it is', () => {
    const result = fuzz({ values: 20_000, seed: 7 });
    expect(result.findings).toEqual([]);
    expect(result.tried).toBe(20_000);
    // Both ways are gone: a fuzzer that is refused everything shows nothing.
    expect(result.accepted).toBeGreaterThan(2_000);
    expect(result.refused).toBeGreaterThan(2_000);
    // Three seconds, if the machine has nothing else to do.
  }, 60_000);

  it('are the same for the same seed and index, and meet every key', () => {
    expect(hostilePod(3, 1_234)).toEqual(hostilePod(3, 1_234));
    expect(hostilePod(4, 1_234)).not.toEqual(hostilePod(3, 1_234));
    const name = ({ place, key }: { place: string; key: string }): string => `${place} ${key}`;
    const met = new Set(Array.from({ length: 3_000 }, (_, index) => name(hostilePod(1, index).hostile)));
    expect(SETTINGS.map(name).filter((one) => !met.has(one))).toEqual([]);
  });
});

describe('the look at what nft is handed', () => {
  it.each([
    '\t\ttcp dport 80 counter return comment "excluded inbound ports: argument --istio-local-exclude-ports"',
    '\telements = { 10.0.0.0/8, 192.0.2.1-192.0.2.3 }',
    '\t\tiifname "eth0" counter jump inbound',
    '\t\tct state established,related counter accept',
    '\ttype nat hook output priority -100; policy accept;',
  ])('knows %s', (line) => {
    expect(strangerInNft(line)).toBeUndefined();
  });

  it.each([
    'flush ruleset',
    'iifname "eth*" counter return',
    'iifname eth0 counter return',
    'tcp dport 80; flush ruleset',
    'tcp dport { 80 } accept ; drop',
    'include "/etc/passwd"',
    'elements = { 10.0.0.0/8, localhost }',
    'elements = { 10.0.0.0/8 } drop',
    'elements = { 80 }; flush ruleset',
    'chain stranger {',
    'table inet stranger {',
    'tcp dport { 80 } return',
    'ip saddr 10.0.0.0/33 return',
    'ip6 daddr 2001:0db8::/32 return',
    'ip6 daddr fe80::1%eth0 return',
    'tcp dport 0x50 return',
    'tcp dport 080 return',
    'meta skuid root return',
    'jump stranger_chain',
    'tcp dport 80 return comment "a" drop comment "b"',
    'tcp dport 80 return comment "every port: annotation stranger/key"',
    'tcp dport 80 return comment "80; flush ruleset"',
    'tcp dport ８０ return',
    'tcp dport 80\r return',
  ])('does not know %s', (line) => {
    expect(strangerInNft(line)).toBe(line);
  });
});

describe('the look at what iptables is handed', () => {
  const comment = '-m comment --comment "proxy uid: default"';

  it.each([
    '*nat',
    ':IPNC_output - [0:0]',
    `-A IPNC_output -i eth0 -p tcp -m multiport --dports 80,443 ${comment} -j RETURN`,
    `-A IPNC_output ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539 ${comment} -j MARK --set-xmark 0x53a/0xffffffff`,
    '-I OUTPUT 1 -m comment --comment "istio-pod-network-controller" -j IPNC_output',
  ])('knows %s', (line) => {
    expect(strangerInIptables(line)).toBeUndefined();
  });

  it.each([
    '*filter',
    ':INPUT DROP [0:0]',
    '-A IPNC_output -j RETURN',
    `-A INPUT ${comment} -j DROP`,
    `-A IPNC_output -i eth+ ${comment} -j RETURN`,
    `-A IPNC_output -i -j ${comment} -j ACCEPT`,
    `-A IPNC_output ${comment} -j LOG`,
    `-A IPNC_stranger ${comment} -j RETURN`,
    `-A IPNC_output --dport http ${comment} -j RETURN`,
    '-A IPNC_output -m comment --comment "a" -j DROP -m comment --comment "b" -j RETURN',
    '# -A IPNC_output',
  ])('does not know %s', (line) => {
    expect(strangerInIptables(line)).toBe(line);
  });
});
