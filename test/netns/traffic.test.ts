import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { desiredOf } from '../support/netns-policy.ts';
import { SERVICE } from '../support/netns-lab.ts';
import { trafficScene, trafficTable } from '../support/netns-traffic.ts';

describe('nft', () => {
  trafficTable('nft');
});

describe('beside the traffic', () => {
  const { scene, capture } = trafficScene('nft');

  it('a proof beside a busy proxy takes no connection of others for its own', async () => {
    // Few source ports, many of them in use towards the proxy: the kernel is bound to give a probe one of those.
    sourcePorts('40000 40127');
    try {
      capture({});
      for (let connection = 0; connection < 40; connection += 1) await scene().app.connect(SERVICE[4], 80);
      for (let round = 0; round < 10; round += 1) {
        expect(capture({ annotations: { excludeInterfaces: `other${round}` } }).action).toBe('applied');
      }
    } finally {
      sourcePorts('32768 60999');
    }
  });

  function sourcePorts(range: string): void {
    const setting = `net.ipv4.ip_local_port_range=${range}`;
    execFileSync('ip', ['netns', 'exec', scene().lab.pod.name, 'sysctl', '-qw', setting]);
  }

  it('the mark shows to any process of the pod, and to nobody outside', async () => {
    capture({});
    expect(await scene().app.readAlias()).toBe(
      `istio-pod-network-controller v1 ready ${desiredOf({}).ruleset.policyHash}`,
    );
    expect(await scene().outside.readAlias()).toBe('');
  });
});
