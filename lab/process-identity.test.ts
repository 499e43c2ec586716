import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { identify, isAlive, parseIdentity, parseStat } from './process-identity.ts';

const FIELDS = 'S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10';

describe('parseStat', () => {
  it('finds state and start time', () => {
    expect(parseStat(`42 (node) ${FIELDS}`)).toEqual({ state: 'S', threads: 1, startTicks: '987654' });
  });

  it('is not misled by the name of the command', () => {
    expect(parseStat(`42 (a) R 1 (b c) ${FIELDS}`)).toEqual({ state: 'S', threads: 1, startTicks: '987654' });
  });

  it('rejects what is no stat line', () => {
    expect(parseStat('')).toBeUndefined();
    expect(parseStat('42 (node) S 1')).toBeUndefined();
  });
});

describe('isAlive', () => {
  it('knows a running process, and not another one that has its pid', () => {
    const self = identify(process.pid);
    expect(self).toBeDefined();
    if (self === undefined) return;
    expect(isAlive(self)).toBe(true);
    expect(isAlive({ ...self, startTicks: '1' })).toBe(false);
  });

  it('sees that a process ended', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const identity = identify(child.pid ?? 0);
    expect(identity).toBeDefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(identity !== undefined && isAlive(identity)).toBe(false);
  });
});

describe('parseIdentity', () => {
  it('reads what was written', () => {
    const identity = { pid: 4711, startTicks: '99' };
    expect(parseIdentity(JSON.stringify(identity))).toEqual(identity);
  });

  it.each([
    '',
    '{"pid":47',
    '{"pid":"47","startTicks":"9"}',
    '{"pid":1,"startTicks":"9"}',
    '{"pid":-1,"startTicks":"9"}',
    'null',
  ])('takes %j as no record', (text) => expect(parseIdentity(text)).toBeUndefined());
});
