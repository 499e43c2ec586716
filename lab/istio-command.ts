import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { mergeValues } from './helm.ts';
import { installIstio, removeIstioRevision, resetIstio } from './istio.ts';
import { modeOfFlags, type IstioMode } from './istio-mode.ts';
import { LabError } from './lab-error.ts';
import { readOwner, withLock, writeOwner, type Owner } from './owner.ts';
import { cachedParts } from './parts.ts';
import { checkout } from './paths.ts';
import { say, step } from './progress.ts';

/** `lab istio …`: changes how Istio is installed on the running lab. Without flags: back to what a fresh lab has. */
export async function istioCommand(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'istio-cni': { type: 'boolean', default: false },
      'istio-cni-plugin': { type: 'boolean', default: false },
      values: { type: 'string', multiple: true, default: [] },
      revision: { type: 'string' },
      remove: { type: 'boolean', default: false },
    },
  });
  const mode = modeOfFlags({ cni: values['istio-cni'], plugin: values['istio-cni-plugin'] });
  const { revision } = values;
  const extraValues = values.values.map(readValues).reduce(mergeValues, {});
  if (values.remove && revision === undefined) throw new LabError('istio: --remove goes with --revision NAME');
  if (revision !== undefined && !/^[a-z][a-z0-9-]{0,40}$/.test(revision))
    throw new LabError(`istio: --revision ${revision}: not a name such as canary`);
  await withLock('istio', async () => {
    const owner = ownLab();
    if (revision !== undefined && values.remove)
      return step(`istiod of revision ${revision} is gone`, () => removeIstioRevision(revision));
    if (revision !== undefined)
      return step(`istiod of revision ${revision} is available (${mode})`, () =>
        installIstio(cachedParts(owner.kubernetes), mode, { extraValues, revision }),
      );
    return switchMode(owner, mode, extraValues);
  });
}

async function switchMode(owner: Owner, mode: IstioMode, extraValues: object): Promise<void> {
  const parts = cachedParts(owner.kubernetes);
  await step(`istiod is available (${mode})`, () => resetIstio(parts, mode, { extraValues }));
  writeOwner({ ...owner, mode });
  if (Object.keys(extraValues).length > 0) say('the extra values last until the next `up` or `istio`');
}

function ownLab(): Owner {
  const owner = readOwner();
  if (owner?.checkout === checkout) return owner;
  throw new LabError('istio: no lab of this checkout runs', { hint: 'Start one: make lab-up' });
}

function readValues(path: string): object {
  const value: unknown = parse(readFileSync(path, 'utf8'));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new LabError(`istio: --values ${path}: not a map of values`);
}
