import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLab, type NetnsLab, POD_V4 } from '../support/netns-lab.ts';

/** The agent's capabilities, and fewer: a whole process under exactly these. */
let lab: NetnsLab;
beforeEach(() => {
  lab = createLab();
});
afterEach(() => lab.close());

const SCRIPT = fileURLToPath(new URL('../support/netns-capture-once.ts', import.meta.url));

/** As root, drop ALL, add these: what Kubernetes makes of the agent's securityContext. */
function captureWith(...capabilities: readonly string[]): unknown {
  const caps = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const argv = [`--bounding-set=${caps}`, '--inh-caps=-all', '--', process.execPath, SCRIPT, lab.pod.path, POD_V4];
  const { stdout } = spawnSync('setpriv', argv, { encoding: 'utf8' });
  return JSON.parse(stdout);
}

describe('capabilities', () => {
  it('SYS_ADMIN and NET_ADMIN are enough, for everything', () => {
    expect(captureWith('sys_admin', 'net_admin')).toEqual({
      capEff: '0000000000201000',
      capture: 'applied',
      again: 'kept',
      refuse: 'keptReady',
      clean: { tableRemoved: true, routingRemoved: false, markRemoved: true },
      nft: 'works',
    });
  });

  it('without NET_ADMIN it says so', () => {
    expect(captureWith('sys_admin')).toMatchObject({
      capture: expect.stringMatching(/^NotPermitted: nftables: .*CAP_NET_ADMIN/s),
      refuse: expect.stringMatching(/^NotPermitted: the alias of lo.*CAP_NET_ADMIN/s),
      nft: expect.stringMatching(/^NotPermitted: .*CAP_NET_ADMIN/s),
    });
    expect(lab.pod.run('nft', 'list', 'ruleset')).toBe('');
  });

  it('without SYS_ADMIN it says so', () => {
    expect(captureWith('net_admin')).toMatchObject({
      capture: expect.stringMatching(/^NotPermitted: netns .* cannot be entered.*CAP_SYS_ADMIN/s),
    });
  });
});
