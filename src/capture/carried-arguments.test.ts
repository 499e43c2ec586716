import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import { ARGUMENTS_ANNOTATION, carriedArguments } from './carried-arguments.ts';
import { NO_DEFAULTS } from './policy.ts';
import { resolvePolicy } from './resolve.ts';

const proxy = { name: 'istio-proxy', args: ['proxy', 'sidecar'] };
const options = { nameservers: [], sidecarName: 'istio-proxy' };

const HELD = { 'required-plugins.noderesource.dev': '["istio-pod-network-controller"]' };

function podWith(annotation: string | undefined, initContainers: readonly object[] = []) {
  const annotations = annotation === undefined ? {} : { ...HELD, [ARGUMENTS_ANNOTATION]: annotation };
  return parsePod({ metadata: { name: 'a', annotations }, spec: { initContainers, containers: [proxy] } });
}

function policyOf(annotation: string | undefined, initContainers: readonly object[] = []) {
  const result = resolvePolicy(podWith(annotation, initContainers), NO_DEFAULTS, options);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

const args = ['istio-iptables', '-p', '15101', '-u', '1000689999', '-m', 'TPROXY', '-x', ''];
const carried = (fields: object) => JSON.stringify({ args, env: [], ...fields });

describe('arguments that an annotation carries', () => {
  it('make the policy that they make in a container', () => {
    const env = [
      { name: 'ISTIO_META_DNS_CAPTURE', value: 'true' },
      { name: 'OTHER', value: '' },
    ];
    const container = { name: 'gate', args: ['init', '--', ...args], env };
    expect(policyOf(carried({ env }))).toEqual(policyOf(undefined, [container]));
    expect(policyOf(carried({ env })).outboundPort).toEqual({
      value: 15_101,
      source: { kind: 'argument', key: '--envoy-port', raw: '15101' },
    });
  });

  it('do not count where a container carries some: that is what Istio put into this very pod', () => {
    const container = { name: 'istio-validation', args: ['istio-iptables', '-p', '15201'] };
    expect(policyOf(carried({}), [container]).outboundPort.value).toBe(15_201);
    expect(policyOf('nonsense', [container]).outboundPort.value).toBe(15_201);
  });

  it.each([[[]], [['sh', '-c', 'true']]])('are none where a gate would carry none: %j', (other) => {
    const env = [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }];
    expect(carriedArguments(podWith(carried({ args: other, env })))).toBeUndefined();
    expect(policyOf(carried({ args: other, env }))).toEqual(
      policyOf(undefined, [{ name: 'gate', args: ['init', '--', ...other], env }]),
    );
  });

  it('do not count in a pod that the runtime does not hold back', () => {
    const { annotations, ...pod } = podWith(carried({}));
    const { [ARGUMENTS_ANNOTATION]: text = '' } = annotations;
    expect(carriedArguments({ ...pod, annotations: { [ARGUMENTS_ANNOTATION]: text } })).toBeUndefined();
    expect(carriedArguments({ ...pod, annotations })).toBeDefined();
  });

  it('are refused where a variable that counts has no value of its own', () => {
    const result = resolvePolicy(podWith(carried({ env: [{ name: 'INVALID_DROP' }] })), NO_DEFAULTS, options);
    expect(result).toMatchObject({ ok: false, problems: [{ key: 'INVALID_DROP', value: 'valueFrom' }] });
  });

  it.each([
    '',
    'null',
    '[]',
    '{}',
    '{"args":[]}',
    '{"args":"istio-iptables","env":[]}',
    '{"args":["istio-iptables",15001],"env":[]}',
    '{"args":["istio-iptables"],"env":[{"value":"1"}]}',
    '{"args":["istio-iptables"],"env":[{"name":"A","value":1}]}',
    '{"args":["istio-iptables"],"env":[{"name":"A","valueFrom":{}}]}',
    '{"args":["istio-iptables"],"env":[],"more":1}',
    '{"args":["istio-iptables"],"env":[]} ,',
    '{"args":["istio-iptables", "-u","0"],"env":[]}',
    '{"args":["istio-iptables","\\u002du","0"],"env":[]}',
    '{"args":["sh"],"args":["istio-iptables"],"env":[]}',
    '{"env":[],"args":["istio-iptables"]}',
    `{"args":["istio-iptables"${',"x"'.repeat(40_000)}],"env":[]}`,
  ])('are refused, named and told what is allowed: %.60s', (annotation) => {
    const result = resolvePolicy(podWith(annotation), NO_DEFAULTS, options);
    const [problem] = result.ok ? [] : result.problems;
    expect(problem).toMatchObject({ key: ARGUMENTS_ANNOTATION, source: 'argument' });
    expect(problem?.allowed).toContain('"istio-iptables"');
  });

  it('never throw, whatever the annotation holds', () => {
    const text = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc.record({ args: fc.anything(), env: fc.anything() }).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, (annotation) => {
        resolvePolicy(podWith(annotation), NO_DEFAULTS, options);
      }),
    );
  });
});
