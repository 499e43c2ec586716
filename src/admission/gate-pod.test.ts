import { describe, expect, it } from 'vitest';
import { GATE_CASES, GATE_NAMESPACES } from '../../test/support/gate-cases.ts';
import { SAMPLE_GATE as settings } from '../../test/support/gate-settings.ts';
import { decide } from '../enrollment/decide.ts';
import { parseNamespace, parsePod } from '../pod/parse-pod.ts';
import { type GateSettings, gatePod } from './gate-pod.ts';
import { asList, asObject } from './json.ts';

const UNTOUCHED = GATE_CASES.filter(({ expected }) => expected === undefined);
const GATED = GATE_CASES.flatMap(({ expected, ...rest }) => (expected === undefined ? [] : [{ ...rest, expected }]));

describe('gatePod', () => {
  it.each(UNTOUCHED)('leaves alone: $title', ({ namespace, pod }) => {
    const result = gatePod(pod, GATE_NAMESPACES[namespace], settings);
    expect(result).toEqual({ pod, gated: false });
    expect(result.pod).toBe(pod);
  });

  it.each(GATED)('gates: $title', ({ namespace, pod, expected }) => {
    const before = structuredClone(pod);
    const result = gatePod(pod, GATE_NAMESPACES[namespace], settings);
    expect(pod).toEqual(before);
    expect(result.gated).toBe(true);
    const inits = initContainers(result.pod);
    expect(inits.map((container) => container.name)).toEqual(expected.initContainers);
    const { runAsUser, runAsGroup } = expected;
    if (expected.moved !== undefined) {
      expect(inits[0]).toEqual(expected.moved);
      return;
    }
    expect(inits[0]).toEqual({
      name: settings.name,
      image: settings.image,
      imagePullPolicy: 'IfNotPresent',
      args: ['init', '--timeout=300', '--', ...expected.inheritedArgs],
      env: expected.env,
      resources: expected.resources ?? settings.resources,
      securityContext: {
        ...(runAsUser === undefined ? {} : { runAsUser }),
        ...(runAsGroup === undefined ? {} : { runAsGroup }),
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        privileged: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      terminationMessagePolicy: 'FallbackToLogsOnError',
    });
  });

  it.each(GATE_CASES)('is idempotent: $title', ({ namespace, pod }) => {
    const once = gatePod(pod, GATE_NAMESPACES[namespace], settings);
    expect(gatePod(once.pod, GATE_NAMESPACES[namespace], settings)).toEqual({ pod: once.pod, gated: false });
  });

  it.each(GATED)('gates only what the agent takes care of: $title', ({ namespace, pod }) => {
    const { pod: gated } = gatePod(pod, GATE_NAMESPACES[namespace], settings);
    const metadata = { ...pod.metadata, namespace, uid: '0' };
    const parsed = parsePod({ ...asObject(gated), metadata, status: { phase: 'Pending' } });
    const owner = parseNamespace({ metadata: { name: namespace, annotations: GATE_NAMESPACES[namespace] } });
    const options = { excludedNamespaces: [], enroll: settings.enroll, sidecarName: settings.sidecarName };
    expect(decide(parsed, owner, options).action).not.toBe('ignore');
  });

  it('leaves every other part of the pod as it was', () => {
    const { pod } = caseOf('istio-init with a native sidecar');
    const result = asObject(gatePod(pod, {}, settings).pod);
    expect(result.metadata).toBe(pod.metadata);
    expect({ ...asObject(result.spec), initContainers: undefined }).toEqual({ ...pod.spec, initContainers: undefined });
    expect(initContainers(result)[1]).toBe(asList(pod.spec.initContainers)[1]);
  });

  it('takes every injected pod when told so, except those that say no', () => {
    const { pod } = caseOf('istio-init with a native sidecar');
    const injected = (annotations: Record<string, string>) => ({
      ...pod,
      metadata: { name: 'a', annotations: { 'sidecar.istio.io/status': '{}', ...annotations } },
    });
    const all: GateSettings = { ...settings, enroll: 'injected' };
    expect(gatePod(injected({}), {}, all).gated).toBe(true);
    expect(gatePod(injected({}), {}, settings).gated).toBe(false);
    expect(gatePod(injected({ 'istio-pod-network-controller/initialize': 'false' }), {}, all).gated).toBe(false);
  });

  it.each([undefined, null, 'pod', 3, [], { spec: 'x' }, { spec: { initContainers: {} } }])(
    'returns what is no pod as it is: %j',
    (value) => {
      expect(gatePod(value, {}, settings)).toEqual({ pod: value, gated: false });
    },
  );
});

function caseOf(title: string) {
  const found = GATE_CASES.find((candidate) => candidate.title === title);
  if (found === undefined) throw new Error(`no case called ${title}`);
  return found;
}

function initContainers(pod: unknown) {
  return asList(asObject(asObject(pod).spec).initContainers).map(asObject);
}
