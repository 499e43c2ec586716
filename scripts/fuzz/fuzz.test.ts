import { describe, expect, it } from 'vitest';
import { fuzz } from './fuzz.ts';
import { strangerIn } from './vocabulary.ts';

describe('hostile values', () => {
  it('are parsed or refused; none crashes, none reaches a backend as it is', () => {
    const result = fuzz({ values: 10_000, seed: 7 });
    expect(result.findings).toEqual([]);
    // Both ways are gone: a fuzzer that is refused everything shows nothing.
    expect(result.accepted).toBeGreaterThan(1_000);
    expect(result.refused).toBeGreaterThan(1_000);
  });
});

describe('the look at what a backend is handed', () => {
  it.each([
    'tcp dport 80 counter return comment "a"',
    'elements = { 10.0.0.0/8, 192.0.2.1-192.0.2.3 }',
    'iifname "eth0" counter jump inbound',
    'ct state established,related counter accept',
  ])('knows %s', (line) => {
    expect(strangerIn(line)).toBeUndefined();
  });

  it.each([
    'flush ruleset',
    'iifname "eth*" counter return',
    'tcp dport 80; flush ruleset',
    'include "/etc/passwd"',
    'elements = { 10.0.0.0/8, localhost }',
    'tcp dport 0x50 return',
    'meta skuid root return',
    'tcp dport 80 return comment "a" drop comment "b"',
    'tcp dport ８０ return',
  ])('does not know %s', (line) => {
    expect(strangerIn(line)).toBe(line);
  });
});
