import { join } from 'node:path';
import { command } from './command.ts';
import { moduleSources } from './go-build.ts';
import { findGo } from './preflight.ts';
import { LabError } from './lab-error.ts';

/** Custom resources the chart can render, with the definitions their own projects publish, so that a real API server judges them. */
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.85.0';

/** File with the CustomResourceDefinition of OpenShift's SecurityContextConstraints, of the version that lab/go.mod names. */
export async function securityContextConstraintsCrd(): Promise<string> {
  const folder = 'security/v1/zz_generated.crd-manifests';
  const file = '0000_03_config-operator_01_securitycontextconstraints.crd.yaml';
  return join(await moduleSources('github.com/openshift/api'), folder, file);
}

/** File with the CustomResourceDefinition of the Prometheus Operator's PodMonitor. */
export async function podMonitorCrd(): Promise<string> {
  const go = findGo();
  if (go === undefined) throw new LabError('Go is missing: it fetches the definition of PodMonitor');
  const answer = await command([go, 'mod', 'download', '-json', PROMETHEUS_OPERATOR], { cwd: import.meta.dirname });
  const { Dir: directory }: { readonly Dir: string } = JSON.parse(answer);
  return join(directory, 'example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml');
}
