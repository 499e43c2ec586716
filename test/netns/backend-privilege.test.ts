import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects } from '../../src/agent/netns-effects.ts';
import { inspectNetns } from '../../src/agent/tend-netns.ts';
import type { BackendName } from '../../src/backend/backend.ts';
import { createLab, type NetnsLab, POD_V4 } from '../support/netns-lab.ts';
import { sampleRuleset } from '../support/netns-rulesets.ts';

/** The fallbacks with exactly the agent's privileges and file system; and netns of another user namespace. */
const SCRIPT = fileURLToPath(new URL('../support/netns-capture-once.ts', import.meta.url));

describe('a fallback as the agent runs it', () => {
  let lab: NetnsLab;
  beforeEach(() => {
    lab = createLab();
  });
  afterEach(() => lab.close());

  /** As root, drop ALL, add these, with nothing that can be written below /. */
  function captureWith(backend: BackendName | 'auto', ...capabilities: readonly string[]): unknown {
    const caps = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
    const setpriv = ['setpriv', `--bounding-set=${caps}`, '--inh-caps=-all', '--', process.execPath, SCRIPT];
    const readOnly = 'mount --rbind /run /run && mount -o remount,bind,ro /run && ! touch /run/x 2>/dev/null';
    const script = `${readOnly} && exec "$@"`;
    const argv = ['--mount', '--', 'sh', '-c', script, 'sh', ...setpriv, lab.pod.path, POD_V4];
    const { stdout, stderr } = spawnSync('unshare', argv, {
      encoding: 'utf8',
      env: { ...process.env, BACKEND: backend },
    });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  }
  const everything = {
    capture: 'applied',
    again: 'kept',
    refuse: 'keptReady',
    clean: { tableRemoved: true, markRemoved: true },
  };

  it.each(['nft-spawned', 'iptables-nft'] as const)('%s needs no more than nft', (backend) => {
    expect(captureWith(backend, 'sys_admin', 'net_admin')).toMatchObject(everything);
  });

  it("native nft is not held up by legacy tables that somebody else's look has made", () => {
    // Istio's CNI plugin does both, in every pod it captures: it lists the tables of either iptables, then writes by one.
    lab.pod.run('iptables-legacy-save');
    lab.pod.run('iptables-legacy', '-t', 'nat', '-N', 'ISTIO_OUTPUT');
    expect(captureWith('auto', 'sys_admin', 'net_admin')).toMatchObject({ ...everything, nft: 'works' });
  });

  it('iptables-legacy needs NET_RAW besides, and says so', () => {
    expect(captureWith('iptables-legacy', 'sys_admin', 'net_admin', 'net_raw')).toMatchObject(everything);
    expect(captureWith('iptables-legacy', 'sys_admin', 'net_admin')).toMatchObject({
      capture: expect.stringMatching(/^NotPermitted: iptables-legacy-.*CAP_NET_RAW/s),
    });
  });
});

describe('a netns of another user namespace', () => {
  let holder: ChildProcess;
  beforeEach(async () => {
    holder = spawn(
      'unshare',
      ['--user', '--map-root-user', '--net', 'sh', '-c', 'ip link set lo up; echo up; exec sleep 60'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    if (holder.stdout === null) throw new Error('no output');
    await once(holder.stdout, 'data');
  });
  afterEach(() => void holder.kill('SIGKILL'));

  const ruleset = sampleRuleset();
  const request = () => ({ netnsPath: `/proc/${holder.pid}/ns/net`, podIPs: [], ruleset, probes: [] });

  it.each(['auto', 'nft', 'nft-spawned'] as const)('is captured with %s', async (backend) => {
    const effects = await kernelEffects({ backend });
    expect(captureNetns({ ...request(), ownUserNamespace: true }, effects).action).toBe('applied');
    expect(inspectNetns(request().netnsPath, effects, ruleset)).toMatchObject({
      drift: [],
      backends: [expect.stringMatching(/^nft/)],
    });
  });

  it.each(['iptables-nft', 'iptables-legacy'] as const)(
    'is refused to %s, by us if we know, else by the kernel',
    async (backend) => {
      const effects = await kernelEffects({ backend });
      expect(() => captureNetns({ ...request(), ownUserNamespace: true }, effects)).toThrow(
        expect.objectContaining({ code: 'BackendUnsuited' }),
      );
      expect(() => captureNetns(request(), effects)).toThrow(expect.objectContaining({ code: 'IptablesRejected' }));
      expect(inspectNetns(request().netnsPath, effects)).toMatchObject({ backends: [], mark: { kind: 'none' } });
    },
  );
});
