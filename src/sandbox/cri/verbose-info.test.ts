import { describe, expect, it } from 'vitest';
import { isControllerError } from '../../errors.ts';
import { INFO_BYTES_MAX, readVerboseInfo, usableIps } from './verbose-info.ts';

const PATH = '/var/run/netns/cni-de64b107-708c-d5f9-81d5-f8725ffcfe16';

describe('readVerboseInfo', () => {
  it('reads what containerd gives: netns path and pid', () => {
    expect(read({ pid: 4711, runtimeSpec: spec({ type: 'pid' }, { type: 'network', path: PATH }) })).toEqual({
      netnsPath: PATH,
      pid: 4711,
      nameservers: undefined,
    });
  });

  it('reads what CRI-O gives without an infra container: no pid', () => {
    expect(read({ runtimeSpec: spec({ type: 'network', path: PATH }) })).toMatchObject({
      netnsPath: PATH,
      pid: undefined,
    });
  });

  it.each([
    ['no info at all', {}],
    ['an empty text', { info: '' }],
    ['no runtimeSpec', { info: '{"pid":0}' }],
    ['an empty spec, as from a sandboxer of its own', { info: '{"runtimeSpec":{}}' }],
    ['host network: no network namespace', { info: JSON.stringify({ runtimeSpec: spec({ type: 'ipc' }) }) }],
    [
      'a network namespace that runc makes itself',
      { info: JSON.stringify({ runtimeSpec: spec({ type: 'network' }) }) },
    ],
  ])('knows nothing from %s', (_, info) => {
    expect(readVerboseInfo(info, 'abc')).toEqual({ netnsPath: undefined, pid: undefined, nameservers: undefined });
  });

  it('reads the name servers that containerd was told', () => {
    const servers = (config: unknown) => read({ config }).nameservers;
    expect(servers({ dns_config: { servers: ['10.96.0.10', 'fd00::a'], options: ['ndots:5'] } })).toEqual([
      '10.96.0.10',
      'fd00::a',
    ]);
    expect(servers({ dns_config: {} })).toEqual([]);
    expect(servers({ dns_config: { servers: [7, '10.96.0.10'] } })).toEqual(['10.96.0.10']);
    expect(servers({ dns_config: { servers: 'a' } })).toBeUndefined();
    expect(servers({ dns_config: { servers: Array.from({ length: 99 }, () => '10.0.0.1') } })).toHaveLength(16);
  });

  it.each([0, -1, 1.5, '12', null])('takes pid %j for unknown', (pid) => {
    expect(read({ pid }).pid).toBeUndefined();
  });

  it.each([
    ['relative', 'var/run/netns/x'],
    ['that climbs', '/var/run/netns/../../proc/1/ns/net'],
    ['with a NUL', '/var/run/netns/x\0y'],
    ['beyond PATH_MAX', `/${'x'.repeat(4096)}`],
    ['that is a number', 7],
    ['that is a list', ['/a']],
  ])('refuses a netns path %s', (_, path) => {
    expect(failure(() => read({ runtimeSpec: spec({ type: 'network', path }) }))).toMatch(
      /sandbox abc names the netns .*not an absolute path/,
    );
  });

  it('accepts dots that do not leave the folder', () => {
    const path = '/run/netns/cni..x';
    expect(read({ runtimeSpec: spec({ type: 'network', path }) }).netnsPath).toBe(path);
  });

  it.each(['{', '[]', '"text"', 'null', '7'])('refuses the document %j', (info) => {
    expect(failure(() => readVerboseInfo({ info }, 'abc'))).toMatch(/sandbox abc is not (JSON|a JSON object)/);
  });

  it('refuses a document too large to parse', () => {
    const info = JSON.stringify({ filler: 'x'.repeat(INFO_BYTES_MAX) });
    expect(failure(() => readVerboseInfo({ info }, 'abc'))).toMatch(/at most 4194304/);
  });
});

describe('usableIps', () => {
  it('keeps addresses of both families in order and drops the empty ones of a stopped sandbox', () => {
    expect(usableIps(['10.88.0.7', '', '2001:db8::7', 'none'])).toEqual(['10.88.0.7', '2001:db8::7']);
  });
});

function read(document: unknown) {
  return readVerboseInfo({ info: JSON.stringify(document) }, 'abc');
}

function spec(...namespaces: unknown[]) {
  return { linux: { namespaces } };
}

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error: unknown) {
    if (isControllerError(error, 'RuntimeReply')) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}
