import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { cleanNetns } from '../../src/agent/tend-netns.ts';
import { enterNetns } from '../../src/netns/netns.ts';
import { createLab, type NetnsLab, POD_V4 } from '../support/netns-lab.ts';
import { SAMPLE_PROBES, sampleRuleset } from '../support/netns-rulesets.ts';

/** What entering does to this process: nothing that lasts. */
let effects: NetnsEffects;
let lab: NetnsLab;

beforeAll(async () => {
  effects = await kernelEffects();
});
beforeEach(() => {
  lab = createLab();
});
afterEach(() => lab.close());

const ruleset = sampleRuleset();

function capture(probes = SAMPLE_PROBES) {
  return captureNetns({ netnsPath: lab.pod.path, podIPs: [POD_V4], ruleset, probes }, effects);
}

/** Every thread's netns, as `net:[inode]`. */
function threadNetns(): ReadonlySet<string> {
  return new Set(readdirSync('/proc/self/task').map((thread) => readlinkSync(`/proc/self/task/${thread}/ns/net`)));
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('after many captures', () => {
  it('no descriptor and no memory is left behind', () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    for (let turn = 0; turn < 50; turn += 1) capture();
    const before = openFiles();
    const rssBefore = process.memoryUsage.rss();
    for (let turn = 0; turn < 1_000; turn += 1) {
      // Every tenth time from nothing, with all that belongs to it: deleting a table costs the kernel some 15 ms.
      if (turn % 10 === 0) cleanNetns(lab.pod.path, effects);
      expect(capture().action).toBe(turn % 10 === 0 ? 'applied' : 'kept');
    }
    expect(openFiles()).toBe(before);
    // Not a benchmark: a leaked nft context would be some 100 KiB each.
    expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(48 * 1024 * 1024);
    expect([...threadNetns()]).toEqual([home]);
  });

  it('failures leave no descriptor behind either', () => {
    lab.pod.nft('table inet drops {\n chain out {\n type filter hook output priority 0\n tcp dport 9 drop\n }\n}\n');
    const once = () => {
      expect(() => capture(SAMPLE_PROBES.filter((probe) => 'port' in probe && probe.port === 9300))).not.toThrow();
      expect(() =>
        captureNetns({ netnsPath: '/proc/self/ns/net', podIPs: [], ruleset, probes: [] }, effects),
      ).toThrow();
      expect(() =>
        captureNetns({ netnsPath: lab.pod.path, podIPs: ['192.0.2.9'], ruleset, probes: [] }, effects),
      ).toThrow();
    };
    once();
    const before = openFiles();
    for (let turn = 0; turn < 100; turn += 1) once();
    expect(openFiles()).toBe(before);
  });
});

describe('the thread pool', () => {
  it('works in our own netns, though jobs are given to it from inside a pod', async () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    const netns = effects.open(lab.pod.path);
    const inside = enterNetns(netns, () => readlinkSync('/proc/thread-self/ns/net'));
    netns.close();
    expect(inside).not.toBe(home);
    expect(inside).toBe(`net:[${statSync(lab.pod.path).ino}]`);
    const { readlink } = await import('node:fs/promises');
    const seen = await Promise.all(Array.from({ length: 32 }, () => readlink('/proc/thread-self/ns/net')));
    expect(new Set(seen)).toEqual(new Set([home]));
  });

  it('must be warm before anything is entered', () => {
    expect(child('cold')).toMatchObject({ status: 0, stdout: 'Internal' });
  });
});

describe('the process ends at once', () => {
  it('when work inside was asynchronous', () => {
    const { signal, stderr } = child('async');
    expect(signal).toBe('SIGABRT');
    expect(stderr).toContain('was asynchronous; aborting');
  });

  it('when it cannot come back', () => {
    const { signal, stderr } = child('stranded');
    expect(signal).toBe('SIGABRT');
    expect(stderr).toContain('cannot leave the netns');
  });

  it('but not when work inside throws', () => {
    expect(child('throws')).toMatchObject({ status: 0, stdout: 'home' });
  });
});

it('a netns inside a netns is refused', () => {
  const netns = effects.open(lab.pod.path);
  expect(() => enterNetns(netns, () => enterNetns(netns, () => 0))).toThrow(
    expect.objectContaining({ code: 'Internal' }),
  );
  netns.close();
});

function child(what: string) {
  const script = fileURLToPath(new URL('../support/netns-child.ts', import.meta.url));
  return spawnSync(process.execPath, [script, what, lab.pod.path], { encoding: 'utf8' });
}
