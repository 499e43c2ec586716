import { describe, expect, it } from 'vitest';
import { ControllerError } from '../errors.ts';
import { parseMark, readyMark } from '../netns/mark-text.ts';
import { beginCapture, captureNetns } from './capture-netns.ts';
import { kernel, request, ruleset } from './fake-kernel.ts';

const ready = readyMark(ruleset.policyHash);

describe('captureNetns', () => {
  it('writes, reads back, proves, and only then marks', () => {
    const { state, effects } = kernel();
    expect(captureNetns(request, effects)).toMatchObject({
      action: 'applied',
      netnsCookie: '7',
      drift: [],
      unroutable: [],
    });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'create', 'fingerprint', 'list', 'probe', 'writeMark']);
    expect(state).toMatchObject({ alias: ready, open: 0 });
  });

  it('writes nothing where all is right', () => {
    const { state, effects } = kernel();
    Object.assign(state, { alias: ready, comment: `policy ${ruleset.policyHash}` });
    expect(captureNetns(request, effects).action).toBe('kept');
    expect(state.log).toEqual(['readMark', 'context', 'list']);
  });

  it('brings back an address or route that is gone, and proves again', () => {
    const { state, effects } = kernel();
    const gone = { where: 'rule', expected: 'fwmark 1337', found: 'absent' };
    Object.assign(state, { alias: ready, comment: `policy ${ruleset.policyHash}`, routingDrift: [gone] });
    expect(captureNetns(request, effects)).toMatchObject({ action: 'applied', drift: [gone] });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'list', 'probe', 'writeMark']);
  });

  it('proves before it marks anew', () => {
    const { state, effects } = kernel();
    Object.assign(state, { alias: 'mine', comment: `policy ${ruleset.policyHash}` });
    expect(captureNetns(request, effects)).toMatchObject({ action: 'remarked', foreignAlias: 'mine' });
    expect(state.log).toEqual(['readMark', 'route', 'context', 'list', 'probe', 'writeMark']);
  });

  it('looks again where a table stands under no mark', () => {
    const { state, effects } = kernel();
    state.comment = 'policy ffffffffffffffff';
    expect(captureNetns(request, effects)).toMatchObject({
      action: 'applied',
      previousPolicyHash: 'ffffffffffffffff',
      drift: [],
    });
    expect(state.log).toEqual([
      'readMark',
      'route',
      'context',
      'create',
      'list',
      'replace',
      'fingerprint',
      'list',
      'probe',
      'writeMark',
    ]);
  });

  it('tells what proves nothing', () => {
    const { state, effects } = kernel();
    state.outcome = 'unroutable';
    expect(captureNetns(request, effects).unroutable).toEqual(['detail of all']);
  });
});

describe('reading back', () => {
  const reads = (log: readonly string[]) => log.filter((name) => name === 'list').length;

  it('is done in full once for each policy and state of the table', () => {
    const { state, effects } = kernel();
    const again = (print: string | undefined) => {
      Object.assign(state, { print, alias: '', comment: undefined, log: [] });
      captureNetns(request, effects);
      return reads(state.log);
    };
    expect([again('a'), again('a'), again('b'), again('b'), again(undefined)]).toEqual([1, 0, 1, 0, 1]);
  });

  it('remembers nothing that was found wrong, or changed meanwhile', () => {
    const { state, effects, verified } = kernel();
    Object.assign(state, { print: 'a', stored: 'policy 00000000000000ff' });
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
    expect(verified.size).toBe(0);
    Object.assign(state, { stored: undefined, comment: undefined, alias: '' });
    state.moving = true;
    captureNetns(request, effects);
    expect(verified.size).toBe(0);
  });

  it('forgets the oldest of very many policies', () => {
    const { state, effects, verified } = kernel();
    state.print = 'a';
    for (let policy = 0; policy < 300; policy += 1) {
      Object.assign(state, { alias: '', comment: undefined });
      const policyHash = policy.toString(16).padStart(16, '0');
      captureNetns({ ...request, ruleset: { ...ruleset, policyHash } }, effects);
    }
    expect(verified.size).toBe(256);
    expect(verified.has('0000000000000000')).toBe(false);
  });
});

describe('a failure', () => {
  it('of the proof is told in the netns', () => {
    const { state, effects } = kernel();
    state.outcome = 'failed';
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
    expect(parseMark(state.alias)).toEqual({ kind: 'refused', code: 'ProofFailed', text: 'detail of all' });
    expect(state.open).toBe(0);
  });

  it('of the read-back, too', () => {
    const { state, effects } = kernel();
    state.stored = 'policy 00000000000000ff';
    expect(() => captureNetns(request, effects)).toThrow(/other rules than were written: table comment/);
    expect(parseMark(state.alias)).toMatchObject({ kind: 'refused', code: 'ProofFailed' });
    expect(state.log).not.toContain('probe');
  });

  it('to tell does not hide what went wrong', () => {
    const { state, effects } = kernel();
    state.outcome = 'failed';
    state.failing.writeMark = new ControllerError('MarkFailed', 'no');
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
  });

  const steps = ['run', 'readMark', 'writeMark', 'enter'] as const;
  it.each(steps)('of %s marks nothing and leaves nothing open', (name) => {
    const { state, effects } = kernel();
    state.failing[name] = new ControllerError('Internal', name);
    expect(() => captureNetns(request, effects)).toThrow(name);
    expect(state).toMatchObject({ alias: '', open: 0, inside: false });
  });

  it('of membership writes nothing', () => {
    const { state, effects } = kernel();
    state.addresses = ['198.51.100.11'];
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'NetnsForeign' }));
    expect(state.log).toEqual([]);
  });

  it('of the second look keeps the rules and gives no mark', () => {
    const { state, effects } = kernel();
    const gone = { ...request, stillCurrent: () => false };
    expect(() => captureNetns(gone, effects)).toThrow(expect.objectContaining({ code: 'SandboxReplaced' }));
    expect(state).toMatchObject({ alias: '', open: 0 });
  });
});

it('a session holds the netns until it is closed, and may be closed twice', () => {
  const { state, effects } = kernel();
  const session = beginCapture(request, effects);
  expect(state.open).toBe(1);
  session.finish();
  session.close();
  session.close();
  expect(state.open).toBe(0);
});
