import { describe, expect, it } from 'vitest';
import { memoryCgroup } from './working-set.ts';

describe('the cgroup that counts memory', () => {
  it('is that of its own hierarchy in v1, whatever v2 has beside it', () => {
    const text = '5:cpu,cpuacct:/a\n4:memory:/lab/pod1/c1\n1:name=systemd:/b\n0::/lab/other\n';
    expect(memoryCgroup(text)).toEqual({
      folder: '/sys/fs/cgroup/memory/lab/pod1/c1',
      usage: 'memory.usage_in_bytes',
      inactive: 'total_inactive_file',
    });
  });

  it('is the only one in v2', () => {
    expect(memoryCgroup('0::/kubepods.slice/c1.scope\n')).toMatchObject({
      folder: '/sys/fs/cgroup/kubepods.slice/c1.scope',
      usage: 'memory.current',
    });
  });

  it('is missed aloud', () => {
    expect(() => memoryCgroup('1:name=systemd:/b\n')).toThrow('no cgroup that counts memory');
  });
});
