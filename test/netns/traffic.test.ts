import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects } from '../../src/agent/netns-effects.ts';
import type { Actor } from '../support/netns-actor-client.ts';
import { createLab, EXCLUDED, type NetnsLab, POD_V4, POD_V6, SERVICE } from '../support/netns-lab.ts';
import { SAMPLE_PROBES, sampleRuleset } from '../support/netns-rulesets.ts';

/** Real connections of real users, both families: who ends where. */
let lab: NetnsLab;
let app: Actor;
let proxy: Actor;
let proxyGroup: Actor;
let outside: Actor;

beforeAll(async () => {
  lab = createLab();
  const effects = await kernelEffects();
  const outcome = captureNetns(
    { netnsPath: lab.pod.path, podIPs: [POD_V4], ruleset: sampleRuleset(), probes: SAMPLE_PROBES },
    effects,
  );
  expect(outcome.unroutable).toEqual([]);
  [app, proxy, proxyGroup, outside] = await Promise.all([
    lab.actor({ uid: 1000, gid: 1000 }),
    lab.actor({ uid: 1337, gid: 1337 }),
    lab.actor({ uid: 1000, gid: 1337 }),
    lab.actor({ uid: 0, gid: 0, where: 'outside' }),
  ]);
  await proxy.listen('proxy', [15001, 15006, 15090, 15008]);
  await app.listen('app', [22, 8080]);
  await outside.listen('outside', [80, 9300, 15008]);
});
afterAll(() => lab.close());

const families = [
  {
    family: 'IPv4',
    pod: POD_V4,
    service: SERVICE[4],
    excluded: EXCLUDED[4],
    loopback: '127.0.0.1',
    other: '127.0.0.9',
  },
  { family: 'IPv6', pod: POD_V6, service: SERVICE[6], excluded: EXCLUDED[6], loopback: '::1', other: undefined },
] as const;

describe.each(families)('$family', ({ pod, service, excluded, loopback, other }) => {
  const spelled = (address: string, port: number) =>
    address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

  it('sends the application to the proxy, which learns where it meant to go', async () => {
    expect(await app.connect(service, 80)).toBe(`proxy:15001 ${spelled(service, 80)}`);
    expect(await app.connect(service, 15008)).toBe(`proxy:15001 ${spelled(service, 15008)}`);
  });

  it('lets the proxy out, known by uid or by gid', async () => {
    expect(await proxy.connect(service, 80)).toBe('outside:80 direct');
    expect(await proxyGroup.connect(service, 80)).toBe('outside:80 direct');
  });

  it('sends what the proxy says to its own pod through inbound again', async () => {
    expect(await proxy.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
    expect(await proxy.connect(pod, 15008)).toBe('proxy:15008 direct');
  });

  it('sends whoever comes from outside to the proxy', async () => {
    expect(await outside.connect(pod, 8080)).toBe(`proxy:15006 ${spelled(pod, 8080)}`);
    expect(await outside.connect(pod, 4711)).toBe(`proxy:15006 ${spelled(pod, 4711)}`);
  });

  it('leaves excluded ports alone, both ways', async () => {
    expect(await outside.connect(pod, 22)).toBe('app:22 direct');
    expect(await outside.connect(pod, 15090)).toBe('proxy:15090 direct');
    expect(await outside.connect(pod, 15008)).toBe('proxy:15008 direct');
    expect(await app.connect(service, 9300)).toBe('outside:9300 direct');
  });

  it('leaves excluded ranges alone', async () => {
    expect(await app.connect(excluded, 80)).toBe('outside:80 direct');
  });

  it('leaves loopback alone', async () => {
    expect(await app.connect(loopback, 8080)).toBe('app:8080 direct');
    expect(await app.connect(pod, 8080)).toBe('app:8080 direct');
    expect(await proxy.connect(loopback, 8080)).toBe('app:8080 direct');
    if (other !== undefined) expect(await app.connect(other, 8080)).toBe('app:8080 direct');
  });
});

it('shows the mark to any process of the pod, and to nobody outside', async () => {
  expect(await app.readAlias()).toBe(`istio-pod-network-controller v1 ready ${sampleRuleset().policyHash}`);
  expect(await outside.readAlias()).toBe('');
});
