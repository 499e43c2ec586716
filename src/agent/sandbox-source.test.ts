import { describe, expect, it } from 'vitest';
import { sandbox, toldSandbox } from './fake-agent.ts';
import { createSandboxSource } from './sandbox-source.ts';
import { createToldSandboxes } from './told-sandboxes.ts';

function source() {
  const asked: string[] = [];
  const told = createToldSandboxes();
  told.connected(true);
  const cri = {
    version: () => Promise.resolve({ name: 'fake', version: '0' }),
    listReady: (uid?: string) => {
      asked.push(`list ${uid ?? 'all'}`);
      return Promise.resolve([sandbox('by-cri')]);
    },
    details: (id: string) => {
      asked.push(`details ${id}`);
      return Promise.resolve(sandbox(id));
    },
    close: () => undefined,
  };
  return { asked, told, runtime: createSandboxSource(cri, told) };
}

describe('a sandbox', () => {
  it('that a hook told of is not asked of CRI', async () => {
    const { asked, told, runtime } = source();
    told.alive(toldSandbox('s1'));
    expect((await runtime.listReady('uid-1')).map(({ id }) => id)).toEqual(['s1']);
    expect((await runtime.details('s1'))?.id).toBe('s1');
    expect(asked).toEqual([]);
  });

  it('that no hook told of is found by CRI', async () => {
    const { asked, runtime } = source();
    expect((await runtime.listReady('uid-1')).map(({ id }) => id)).toEqual(['by-cri']);
    await runtime.details('by-cri');
    expect(asked).toEqual(['list uid-1', 'details by-cri']);
  });

  it('is asked of CRI again once the connection is lost', async () => {
    const { asked, told, runtime } = source();
    told.alive(toldSandbox('s1'));
    told.connected(false);
    await runtime.details('s1');
    expect(asked).toEqual(['details s1']);
  });

  it('that was stopped is not ready, whatever CRI still says', async () => {
    const { told, runtime } = source();
    told.alive(toldSandbox('s1'));
    told.stopped('s1');
    expect((await runtime.details('s1'))?.ready).toBe(false);
  });
});

describe('the look at the whole node', () => {
  it('is always CRI: it is there to find what was not told', async () => {
    const { asked, told, runtime } = source();
    told.alive(toldSandbox('s1'));
    await runtime.listReady();
    expect(asked).toEqual(['list all']);
  });
});
