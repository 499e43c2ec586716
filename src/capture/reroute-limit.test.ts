import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import { NO_DEFAULTS, type Problem } from './policy.ts';
import { resolvePolicy } from './resolve.ts';

const REROUTE = 'istio.io/reroute-virtual-interfaces';

function list(count: number, of: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => of(index)).join();
}

function problemsOf(interfaces: number, ranges: string): readonly Problem[] {
  const annotations = {
    [REROUTE]: list(interfaces, (index) => `eth${index}`),
    'traffic.sidecar.istio.io/includeOutboundIPRanges': ranges,
  };
  const pod = parsePod({ metadata: { name: 'a', annotations }, spec: { containers: [{ name: 'istio-proxy' }] } });
  const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
  return result.ok ? [] : result.problems;
}

describe('rerouted interfaces and included ranges', () => {
  const longest = list(4_096, (index) => `10.${index >> 8}.${index & 255}.0/24`);

  it('are bounded together', () => {
    expect(problemsOf(2, longest)).toEqual([]);
    expect(problemsOf(3, longest)).toEqual([
      {
        key: REROUTE,
        value: 'eth0,eth1,eth2',
        allowed: 'at most 2 interfaces together with 4096 included outbound ranges',
        source: 'annotation',
      },
    ]);
  });

  it('are as many as each may be where the other is short', () => {
    expect(problemsOf(64, '*')).toEqual([]);
    expect(problemsOf(64, '')).toEqual([]);
    expect(problemsOf(64, '10.0.0.0/8')).toEqual([]);
    expect(problemsOf(0, longest)).toEqual([]);
  });
});
