import { describe, expect, it } from 'vitest';
import { privilegesOf } from './mesh-pods.ts';
import { requestsOf } from './page.ts';
import { containersOf, parsePod, progressOf, secondsToReady } from './pods.ts';

const QUIET = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

function pod(parts: { readonly pod?: object; readonly container?: object; readonly status?: object }) {
  return parsePod(
    JSON.stringify({
      metadata: { name: 'details-v1-a-b', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { securityContext: parts.pod, containers: [{ name: 'app', securityContext: parts.container }] },
      status: parts.status ?? {},
    }),
  );
}

describe('privileges of a container', () => {
  const nonRoot = { runAsNonRoot: true };
  it.each([
    ['nothing at all', nonRoot, QUIET, []],
    ['a uid of the pod', { runAsUser: 1000 }, QUIET, []],
    ['a capability', nonRoot, { ...QUIET, capabilities: { add: ['NET_ADMIN'] } }, ['adds NET_ADMIN']],
    ['root, by its own uid', { runAsUser: 1000 }, { ...QUIET, runAsUser: 0 }, ['may run as root']],
    ['nobody says who it is', {}, QUIET, ['may run as root']],
    ['escalation is not forbidden', nonRoot, { capabilities: {} }, ['may escalate']],
    ['no security context', nonRoot, undefined, ['may escalate']],
    ['privileged', nonRoot, { ...QUIET, privileged: true }, ['is privileged']],
  ])('%s', (_name, ofPod, container, expected) => {
    const one = pod({ pod: ofPod, ...(container === undefined ? {} : { container }) });
    expect(containersOf(one).flatMap((each) => privilegesOf(one, each))).toEqual(expected);
  });
});

describe('progress of a pod', () => {
  const done = { terminated: { exitCode: 0 } };
  it.each([
    ['nothing is known', {}, 'pending'],
    ['the gate runs', { initContainerStatuses: [{ name: 'gate', state: { running: {} } }] }, 'gate runs'],
    [
      'the gate failed',
      { initContainerStatuses: [{ name: 'gate', state: { terminated: { exitCode: 1 } } }] },
      'gate failed',
    ],
    [
      'the application waits',
      {
        initContainerStatuses: [
          { name: 'gate', state: done },
          { name: 'proxy', started: true, state: { running: {} } },
        ],
        containerStatuses: [{ name: 'app', state: { waiting: { reason: 'PodInitializing' } } }],
      },
      'app waits',
    ],
    ['ready', { conditions: [{ type: 'Ready', status: 'True' }] }, 'ready'],
  ])('%s', (_name, status, expected) => {
    expect(progressOf(pod({ status }))).toBe(expected);
  });

  it('knows how long it took', () => {
    const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:07Z' };
    expect(secondsToReady(pod({ status: { conditions: [ready] } }))).toBe(7);
  });
});

describe('requests in Envoy’s page of clusters', () => {
  const page = [
    'inbound|9080||::10.88.0.14:9080::rq_total::4',
    'outbound|9080||reviews.bookinfo.svc.cluster.local::10.88.0.11:9080::rq_total::1',
    'outbound|9080||reviews.bookinfo.svc.cluster.local::10.88.0.11:9080::rq_error::7',
    'outbound|9080||reviews.bookinfo.svc.cluster.local::[fd00:88::b]:9080::rq_total::2',
  ].join('\n');

  it('adds up the endpoints of one cluster', () => {
    expect(requestsOf(page, 'outbound|9080||reviews.bookinfo.svc.cluster.local')).toBe(3);
    expect(requestsOf(page, 'inbound|9080||')).toBe(4);
    expect(requestsOf(page, 'outbound|9080||ratings.bookinfo.svc.cluster.local')).toBe(0);
  });
});
