import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProduct as run } from '../support/product.ts';

const examplePod = join(resolve(import.meta.dirname, '../..'), 'examples/pod.yaml');
const missingNetns = '/run/netns/there-is-no-such-netns';

describe('what cannot be done ends with 2 and a code', () => {
  it.each(['apply', 'verify'])('%s on a netns that is not there', (verb) => {
    const { status, stderr } = run([verb, '-f', examplePod, '--netns', missingNetns]);
    expect(stderr).toMatch(/NetnsMissing: netns .*there-is-no-such-netns[\s\S]*HostToContainer/);
    expect(status).toBe(2);
  });

  it('clean on something that is no netns', () => {
    const { status, stderr } = run(['clean', '--netns', import.meta.filename]);
    expect(stderr).toContain('NetnsInvalid');
    expect(status).toBe(2);
  });

  it('the agent where no runtime listens on the socket it was given, or outside of a cluster', () => {
    const { status, stderr } = run([
      'run',
      '--node-name',
      'n',
      '--cri-socket',
      '/nonexistent.sock',
      '--metrics-port',
      '39184',
    ]);
    expect(stderr).toMatch(/KUBERNETES_SERVICE_HOST is not set/);
    expect(status).toBe(1);
  });
});
