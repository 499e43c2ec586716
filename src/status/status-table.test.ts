import { describe, expect, it } from 'vitest';
import { agentsByNode, flagsOf, parseAgent } from './agents.ts';
import { plainText } from './plain-text.ts';
import { ageText } from './status-table.ts';

describe('ages', () => {
  it.each([
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [192, '3m12s'],
    [3_600, '60m'],
    [11_000, '3h3m'],
    [100_000, '27h'],
    [200_000, '2d7h'],
    [800_000, '9d'],
    [-5, '0s'],
  ])('of %d s read as kubectl prints them: %s', (seconds, text) => {
    expect(ageText(0, seconds * 1000)).toBe(text);
  });

  it('that are not known are empty', () => expect(ageText(undefined, 0)).toBe(''));
});

describe('text of strangers', () => {
  it('stays text, on one line, and is cut between characters', () => {
    expect(plainText('a\u0000b\nc\u200bd')).toBe('a\\u0000b\\u000ac\\u200bd');
    expect(plainText('grüße 🙂')).toBe('grüße 🙂');
    expect(Buffer.byteLength(plainText('\u0007'.repeat(1_000), 100))).toBeLessThanOrEqual(100);
  });
});

describe('agents', () => {
  const agent = (node: string, ready: string, args: readonly string[] = ['run', '--enroll=injected']) =>
    parseAgent({
      spec: {
        nodeName: node,
        containers: [
          {
            name: 'agent',
            args,
            env: [
              { name: 'A', value: 'b' },
              { name: 'C', valueFrom: {} },
            ],
          },
        ],
      },
      status: {
        conditions: [{ type: 'Ready', status: ready }],
        containerStatuses: [{ name: 'agent', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
      },
    });

  it('are pods that run the agent; a webhook is none', () => {
    expect(agent('n', 'False')).toMatchObject({
      node: 'n',
      ready: false,
      trouble: 'CrashLoopBackOff',
      env: { A: 'b' },
    });
    expect(agent('n', 'True', ['webhook'])).toBeUndefined();
    expect(parseAgent({ spec: 5 })).toBeUndefined();
  });

  it('are one a node: while one is replaced, the ready one', () => {
    const both = [agent('n', 'True'), agent('n', 'False')].flatMap((one) => one ?? []);
    expect(agentsByNode(both).get('n')?.ready).toBe(true);
    expect(agentsByNode(both.toReversed()).get('n')?.ready).toBe(true);
  });

  it('say with which flags they decide', () => {
    expect(flagsOf({ args: ['run', '--enroll=injected', '--ipv6', 'istio', '--envoy-port=', '--x'] })).toEqual({
      enroll: 'injected',
      ipv6: 'istio',
      'envoy-port': '',
    });
  });
});
