import { describe, expect, it } from 'vitest';
import { parseEvent } from './audit.ts';

const EVENT = {
  kind: 'Event',
  level: 'Metadata',
  auditID: 'a1',
  stage: 'ResponseComplete',
  requestURI: '/api/v1/namespaces/ns/pods/web/status',
  verb: 'patch',
  user: { username: 'system:serviceaccount:sys:agent', groups: ['system:authenticated'] },
  objectRef: { resource: 'pods', namespace: 'ns', name: 'web', apiVersion: 'v1', subresource: 'status' },
  responseStatus: { metadata: {}, code: 403 },
  requestReceivedTimestamp: '2026-01-02T03:04:05.678901Z',
  stageTimestamp: '2026-01-02T03:04:05.679901Z',
  annotations: { 'authorization.k8s.io/decision': 'forbid' },
};

describe('one line of the audit log', () => {
  it('says who asked for what, when, and what the answer was', () => {
    expect(parseEvent(JSON.stringify(EVENT))).toEqual({
      id: 'a1',
      request: {
        timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
        user: 'system:serviceaccount:sys:agent',
        verb: 'patch',
        group: '',
        resource: 'pods',
        subresource: 'status',
        namespace: 'ns',
        name: 'web',
        uri: '/api/v1/namespaces/ns/pods/web/status',
        code: 403,
        stage: 'ResponseComplete',
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
      },
    });
  });

  it('is of the user who was impersonated, for whom it was judged', () => {
    const line = JSON.stringify({ ...EVENT, impersonatedUser: { username: 'alice' } });
    expect(parseEvent(line)?.request.user).toBe('alice');
  });

  it('may be about no resource at all', () => {
    const { objectRef: _, ...rest } = EVENT;
    const request = parseEvent(JSON.stringify({ ...rest, requestURI: '/version', verb: 'get' }))?.request;
    expect(request).toMatchObject({ resource: '', namespace: '', name: '', uri: '/version', verb: 'get' });
  });

  it.each([
    ['half written', JSON.stringify(EVENT).slice(0, 100)],
    ['empty', ''],
    ['about a request that is not answered', JSON.stringify({ ...EVENT, stage: 'RequestReceived' })],
    ['not an event', '{"kind":"Event"}'],
    ['not a map', 'null'],
  ])('is nothing when it is %s', (_name, line) => {
    expect(parseEvent(line)).toBeUndefined();
  });
});
