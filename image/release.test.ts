import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { gatePod } from '../src/admission/gate-pod.ts';
import { asList, asObject } from '../src/admission/json.ts';
import { GATE_CASES } from '../test/support/gate-cases.ts';
import { chartGateSettings } from '../test/support/gate-settings.ts';
import { REPOSITORY } from './rootfs.ts';

describe('a release', () => {
  it('has one version: package.json, chart, image tag', async () => {
    const { version } = asObject(JSON.parse(await read('package.json')));
    const chart = asObject(parse(await read('chart/istio-pod-network-controller/Chart.yaml')));
    expect({ chart: chart.version, app: chart.appVersion }).toEqual({ chart: version, app: version });
  });

  it('shows, in examples/pod.yaml, the gate that its own chart would put there', async () => {
    const example = asObject(parse(await read('examples/pod.yaml')));
    const stock = GATE_CASES.find(({ title }) => title === 'istio-init with a native sidecar');
    const gated = asObject(gatePod(stock?.pod, {}, await chartGateSettings()).pod);
    const { env, terminationMessagePolicy, ...expected } = firstInit(gated);
    expect({ env, terminationMessagePolicy }).toEqual({ env: [], terminationMessagePolicy: 'FallbackToLogsOnError' });
    expect(firstInit(example)).toEqual(expected);
  });
});

function firstInit(pod: unknown): Readonly<Record<string, unknown>> {
  return asObject(asList(asObject(asObject(pod).spec).initContainers)[0]);
}

async function read(path: string): Promise<string> {
  return await readFile(join(REPOSITORY, path), 'utf8');
}
