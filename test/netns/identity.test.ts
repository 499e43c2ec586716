import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginCapture, captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { cleanNetns, inspectNetns, refuseNetns } from '../../src/agent/tend-netns.ts';
import { createBareNetns, createLab, type NetnsLab, POD_V4 } from '../support/netns-lab.ts';
import { SAMPLE_PROBES, sampleRuleset } from '../support/netns-rulesets.ts';

/** Nothing may ever be written into a netns that is not the pod's. */
let effects: NetnsEffects;
let lab: NetnsLab;
let folder: string;

beforeAll(async () => {
  effects = await kernelEffects();
  lab = createLab();
  folder = mkdtempSync(join(tmpdir(), 'netns-identity-'));
});
afterAll(() => {
  lab.close();
  rmSync(folder, { recursive: true });
});

const ruleset = sampleRuleset();

function capture(netnsPath: string, podIPs: readonly string[] = []) {
  return captureNetns({ netnsPath, podIPs, ruleset, probes: SAMPLE_PROBES }, effects);
}

/** Without counts: the host goes on talking. */
function hostRules(): string {
  return spawnSync('nft', ['-s', 'list', 'ruleset'], { encoding: 'utf8' }).stdout;
}

describe('refused, and nothing written', () => {
  const file = () => {
    const path = join(folder, 'file');
    writeFileSync(path, '');
    return path;
  };
  const paths: readonly (readonly [string, () => string, string])[] = [
    ['the netns of this process', () => '/proc/self/ns/net', 'NetnsIsHost'],
    ['a path that is gone', () => '/run/netns/pnct-gone', 'NetnsMissing'],
    ['a path through a file', () => '/etc/passwd/x', 'NetnsMissing'],
    ['an ordinary file, as an unmounted netns leaves it', file, 'NetnsInvalid'],
    ['a directory', () => folder, 'NetnsInvalid'],
    ['a namespace of another kind', () => '/proc/self/ns/uts', 'NetnsInvalid'],
    ['a relative path', () => 'run/netns/x', 'NetnsInvalid'],
    ['an empty path', () => '', 'NetnsInvalid'],
  ];
  it.each(paths)('%s', (_, path, code) => {
    const before = hostRules();
    const refusal = expect.objectContaining({ code });
    expect(() => capture(path())).toThrow(refusal);
    expect(() => cleanNetns(path(), effects)).toThrow(refusal);
    expect(() => inspectNetns(path(), effects)).toThrow(refusal);
    expect(() => refuseNetns({ netnsPath: path(), podIPs: [], code: 'x', text: 'y' }, effects)).toThrow(refusal);
    expect(hostRules()).toBe(before);
  });

  it('what is no namespace is called so before it is entered', () => {
    expect(() => capture(file())).toThrow(/it is not a namespace file$/);
  });

  it("the host's netns under another name", () => {
    const name = 'pnct-host-alias';
    spawnSync('ip', ['netns', 'attach', name, String(process.pid)]);
    try {
      expect(() => capture(`/run/netns/${name}`)).toThrow(expect.objectContaining({ code: 'NetnsIsHost' }));
    } finally {
      spawnSync('ip', ['netns', 'delete', name]);
    }
  });

  it("the agent's own netns, which is not the host's", () => {
    const script = fileURLToPath(new URL('../support/netns-child.ts', import.meta.url));
    expect(lab.pod.run(process.execPath, script, 'own', lab.pod.path)).toBe('NetnsIsHost');
  });

  it('a netns with none of the addresses of the pod', () => {
    const foreign = expect.objectContaining({ code: 'NetnsForeign', message: expect.stringContaining('192.0.2.99') });
    expect(() => capture(lab.pod.path, ['192.0.2.99', '2001:db8::99'])).toThrow(foreign);
    expect(() =>
      refuseNetns({ netnsPath: lab.pod.path, podIPs: ['192.0.2.99'], code: 'x', text: 'y' }, effects),
    ).toThrow(foreign);
    expect(lab.pod.run('nft', 'list', 'ruleset')).toBe('');
    expect(inspectNetns(lab.pod.path, effects).mark).toEqual({ kind: 'none' });
  });
});

describe('a sandbox that is replaced meanwhile', () => {
  it('is never marked', () => {
    const own = createLab();
    const request = { netnsPath: own.pod.path, podIPs: [POD_V4], ruleset, probes: SAMPLE_PROBES };
    expect(() => captureNetns({ ...request, stillCurrent: () => false }, effects)).toThrow(
      expect.objectContaining({ code: 'SandboxReplaced' }),
    );
    expect(inspectNetns(own.pod.path, effects).mark).toEqual({ kind: 'none' });
    own.close();
  });

  it('a path that changes its meaning during capture does not mislead the mark', () => {
    const [old, young] = [createBareNetns(), createBareNetns()];
    const session = beginCapture({ netnsPath: old.path, podIPs: [], ruleset, probes: [] }, effects);
    // The runtime reuses the path at once, as with a fixed sandbox name.
    spawnSync('mount', ['--bind', young.path, old.path]);
    expect(session.finish().action).toBe('applied');
    session.close();
    expect(inspectNetns(old.path, effects)).toMatchObject({ mark: { kind: 'none' }, listing: undefined });
    spawnSync('umount', [old.path]);
    expect(inspectNetns(old.path, effects).mark.kind).toBe('ready');
    old.close();
    young.close();
  });
});

it('two netns never share a cookie, though they may share an inode', () => {
  const cookies = Array.from({ length: 20 }, () => {
    const netns = createBareNetns();
    const { netnsCookie } = inspectNetns(netns.path, effects);
    netns.close();
    return netnsCookie;
  });
  expect(new Set(cookies).size).toBe(20);
});
