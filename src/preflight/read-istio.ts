import { parse } from 'yaml';
import type { CniFacts, InjectorFacts } from './facts.ts';

type Json = Readonly<Record<string, unknown>>;

const INJECTOR = 'istio-sidecar-injector';

/**
 * ConfigMaps of Istio's namespace → what its injectors do, one for each revision. Istio's chart writes the values it was installed with
 * into `istio-sidecar-injector[-REVISION]` as JSON, and the mesh settings into `istio[-REVISION]` as YAML.
 */
export function readInjectors(configMaps: readonly unknown[], revision: string | undefined): readonly InjectorFacts[] {
  const byName = new Map(configMaps.map((object) => [textAt(object, 'metadata', 'name'), object]));
  return [...byName].flatMap(([name, object]) => {
    if (name !== INJECTOR && !name.startsWith(`${INJECTOR}-`)) return [];
    const suffix = name.slice(INJECTOR.length);
    const found = suffix === '' ? 'default' : suffix.slice(1);
    if (revision !== undefined && revision !== found) return [];
    return [
      injectorOf(
        found,
        jsonOf(textAt(object, 'data', 'values')),
        yamlOf(textAt(byName.get(`istio${suffix}`), 'data', 'mesh')),
      ),
    ];
  });
}

function injectorOf(revision: string, values: unknown, mesh: unknown): InjectorFacts {
  return {
    revision,
    cniEnabled: at(values, 'pilot', 'cni', 'enabled') === true || at(values, 'istio_cni', 'enabled') === true,
    cniProvider: textAt(values, 'pilot', 'cni', 'provider') || 'default',
    platform: textAt(values, 'global', 'platform'),
    seccompProfile: textAt(values, 'global', 'proxy', 'seccompProfile', 'type'),
    nativeNftables: at(values, 'global', 'nativeNftables') === true,
    interceptionMode: textAt(mesh, 'defaultConfig', 'interceptionMode') || 'REDIRECT',
  };
}

/** The ConfigMap `istio-cni-config`, or undefined where there is none: then istio-cni runs on its defaults. */
export function readCni(namespace: string, configMap: unknown): CniFacts {
  const excluded = textAt(configMap, 'data', 'EXCLUDE_NAMESPACES');
  return {
    namespace,
    ambient: textAt(configMap, 'data', 'AMBIENT_ENABLED') === 'true',
    excludedNamespaces: excluded
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Of a version that writes something else there: every value counts as its default.
    return {};
  }
}

function yamlOf(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch {
    return {};
  }
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => (isJson(here) ? here[key] : undefined), value);
}

function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
