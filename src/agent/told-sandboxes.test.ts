import { describe, expect, it } from 'vitest';
import { pickSandbox } from '../sandbox/sandbox.ts';
import { toldSandbox } from './fake-agent.ts';
import { createToldSandboxes } from './told-sandboxes.ts';

function connected(sandboxesMax?: number) {
  const told = createToldSandboxes(sandboxesMax === undefined ? {} : { sandboxesMax });
  told.connected(true);
  return told;
}

describe('what the runtime told', () => {
  it('is known by id and by pod, with netns and addresses', () => {
    const told = connected();
    told.alive(toldSandbox('s1'));
    expect(told.details('s1')).toMatchObject({
      id: 's1',
      ready: true,
      netnsPath: '/var/run/netns/s1',
      ips: ['10.88.0.2'],
    });
    expect(told.readyOf('uid-1').map(({ id }) => id)).toEqual(['s1']);
    expect(told.readyOf('uid-2')).toEqual([]);
  });

  it('is not ready any more once it was stopped, and gone once it was removed', () => {
    const told = connected();
    told.alive(toldSandbox('s1'));
    told.stopped('s1');
    expect(told.details('s1')?.ready).toBe(false);
    expect(told.readyOf('uid-1')).toEqual([]);
    told.removed('s1');
    expect(told.details('s1')).toBeUndefined();
  });

  it('of two sandboxes of one pod makes the later one the younger', () => {
    const told = connected();
    told.alive(toldSandbox('s1'));
    told.alive(toldSandbox('s2'));
    // A container of the old one does not make it young again.
    told.alive(toldSandbox('s1'));
    expect(pickSandbox(told.readyOf('uid-1'), 'uid-1')?.id).toBe('s2');
  });

  it('is void when the connection is lost, and replaced by what is told at the next one', () => {
    const told = connected();
    told.alive(toldSandbox('s1'));
    told.connected(false);
    expect(told.details('s1')).toBeUndefined();
    told.alive(toldSandbox('s1'));
    expect(told.details('s1')).toBeUndefined();
    told.connected(true);
    told.alive(toldSandbox('s2'));
    told.replaceAll([toldSandbox('s3'), toldSandbox('stopped', { pid: 0 })]);
    expect(['s2', 's3', 'stopped'].map((id) => told.details(id)?.id)).toEqual([undefined, 's3', undefined]);
  });

  it('leaves to CRI what has no netns path, and what is beyond its bound', () => {
    const told = connected(1);
    told.alive(toldSandbox('host', { netnsPath: undefined }));
    told.alive(toldSandbox('s1'));
    told.alive(toldSandbox('s2'));
    expect(['host', 's1', 's2'].map((id) => told.details(id)?.id)).toEqual([undefined, 's1', undefined]);
    told.removed('s1');
    told.alive(toldSandbox('s2'));
    expect(told.details('s2')?.id).toBe('s2');
  });
});
