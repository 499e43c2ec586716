import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { GateSettings } from '../../src/admission/gate-pod.ts';
import { asObject, asString } from '../../src/admission/json.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Settings for what needs none in particular. */
export const SAMPLE_GATE: GateSettings = {
  mode: 'container',
  nodeSelector: {},
  name: 'istio-pod-network-controller-gate',
  image: 'docker.io/istio-pod-network-controller/istio-pod-network-controller:0.1.0',
  imagePullPolicy: 'IfNotPresent',
  args: ['--timeout=300'],
  resources: { requests: { cpu: '10m' } },
  enroll: 'annotated',
  sidecarName: 'istio-proxy',
};

/** The same without gates. */
export const SAMPLE_GATELESS: GateSettings = {
  ...SAMPLE_GATE,
  mode: 'runtime',
  nodeSelector: { 'pod-network-controller.istio.io/nri-validator': 'true' },
};

/** The gate as the chart's own values make it, for comparing what else makes gates with the chart's admission policy. */
export async function chartGateSettings(): Promise<GateSettings> {
  const values = asObject(parse(await readFile(join(ROOT, 'chart/istio-pod-network-controller/values.yaml'), 'utf8')));
  const manifest = asObject(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')));
  const gate = asObject(values.gate);
  const nodeSelector = Object.entries(asObject(gate.nodeSelector)).map(([key, value]) => [key, asString(value)]);
  return {
    mode: 'container',
    nodeSelector: Object.fromEntries(nodeSelector),
    name: asString(gate.containerName),
    image: `${asString(asObject(values.image).repository)}:${asString(manifest.version)}`,
    imagePullPolicy: 'IfNotPresent',
    args: [`--timeout=${String(gate.timeoutSeconds)}`],
    resources: asObject(gate.resources),
    enroll: 'annotated',
    sidecarName: asString(asObject(values.agent).sidecarName),
  };
}
