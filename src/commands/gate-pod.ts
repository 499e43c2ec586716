import { gatePod } from '../admission/gate-pod.ts';
import { REPLACED } from '../admission/gate-rule.ts';
import { asObject, asString } from '../admission/json.ts';
import { resolveFlags, type Values } from '../config/flag.ts';
import { decide } from '../enrollment/decide.ts';
import type { Decision } from '../enrollment/reasons.ts';
import { ControllerError } from '../errors.ts';
import { podPaths } from '../pod/parse-manifest.ts';
import type { Pod } from '../pod/pod.ts';
import { type EditableDocument, type Path, readEditable, valueAt } from './edit-manifest.ts';
import { GATE_POD_FLAGS } from './gate-pod-flags.ts';
import { gateSettings } from './gate-settings.ts';
import { type Given, notAllowed, required } from './given.ts';
import { type GivenPod, podsIn } from './manifest.ts';

type Flags = Values<typeof GATE_POD_FLAGS>;

/**
 * `gate-pod -f pod.yaml`: prints the manifest with the gate in the pods that take part, and everything else as it is; says on stderr
 * what became of each pod. A manifest in which nothing changes is printed as it was read, so that the verb can stand in a pipe.
 */
export async function gatePodVerb(given: Given): Promise<number> {
  const format = formatOf(given['output']);
  const flags = resolveFlags(GATE_POD_FLAGS, given, process.env);
  const manifest = readEditable(required(given, 'filename'));
  const outcomes = podPlaces(manifest.documents, given['namespaceFile']).map((place) => gateAt(place, flags));
  const json = format === undefined ? manifest.isJson : format === 'json';
  process.stdout.write(json ? manifest.toJson() : manifest.toYaml());
  process.stderr.write(summary(outcomes));
  return 0;
}

function formatOf(given: string | undefined): 'yaml' | 'json' | undefined {
  if (given === undefined || given === 'yaml' || given === 'json') return given;
  throw notAllowed('--output', given, 'yaml or json');
}

/** A pod of a manifest, what is known of it, and where it stands. */
interface PodPlace extends GivenPod {
  readonly document: EditableDocument;
  readonly path: Path;
}

function podPlaces(documents: readonly EditableDocument[], namespaceFile: string | undefined): readonly PodPlace[] {
  const values = documents.map(({ value }) => value);
  const pods = podsIn(values, namespaceFile);
  const places = documents.flatMap((document) => podPaths(document.value).map((path) => ({ document, path })));
  return pods.flatMap((pod, index) => {
    const place = places[index];
    return place === undefined ? [] : [{ ...pod, ...place }];
  });
}

interface Outcome {
  readonly source: string;
  readonly gated: boolean;
  readonly why: string;
  readonly hint: string | undefined;
}

function gateAt({ pod, namespace, source, document, path }: PodPlace, flags: Flags): Outcome {
  const decision = decide({ ...pod, phase: 'Pending' }, namespace, {
    enroll: flags.enroll,
    excludedNamespaces: flags.excludeNamespaces,
    sidecarName: flags.sidecarName,
  });
  const before = valueAt(document.value, path);
  const { pod: after, gated, obstacle } = gatePod(before, namespace.annotations, gateSettings(flags));
  if (obstacle !== undefined && decision.reason !== 'NamespaceExcluded')
    throw new ControllerError('ManifestInvalid', `${source}: ${obstacle}`);
  // Admission leaves excluded namespaces out before it comes to the rule.
  if (!gated || decision.reason === 'NamespaceExcluded') {
    return { source, gated: false, why: whyNot(pod, decision, flags), hint: hintOf(decision) };
  }
  const inits = valueAt(after, ['spec', 'initContainers']);
  document.setInitContainers(path, Array.isArray(inits) ? inits : []);
  for (const place of MAPS) document.setFields([...path, ...place], fieldsThatChanged(before, after, place));
  return { source, gated: true, why: whatWasDone(pod, flags), hint: undefined };
}

/** Of a pod without a gate. */
const MAPS: readonly Path[] = [
  ['metadata', 'annotations'],
  ['spec', 'nodeSelector'],
];

function fieldsThatChanged(before: unknown, after: unknown, place: Path): Readonly<Record<string, string>> {
  const [old, young] = [asObject(valueAt(before, place)), asObject(valueAt(after, place))];
  const changed = Object.entries(young).filter(([key, value]) => old[key] !== value);
  return Object.fromEntries(changed.map(([key, value]) => [key, asString(value)]));
}

function whatWasDone(pod: Pod, { gateMode }: Flags): string {
  const replaced = pod.initContainers.map(({ name }) => name).filter((name) => REPLACED.includes(name));
  if (gateMode === 'runtime' && replaced.length > 0)
    return `${replaced.join(' and ')} taken out: the container runtime holds the pod back`;
  return replaced.length > 0 ? `the gate takes the place of ${replaced.join(' and ')}` : 'the gate is the first now';
}

function whyNot(pod: Pod, { action, reason, message }: Decision, flags: Flags): string {
  if (action !== 'enroll') return `${reason}: ${message}`;
  if (pod.initContainers[0]?.name === flags.gateName) return 'it has a gate already';
  return `there is no ${REPLACED.join(' or ')} whose place the gate could take`;
}

const HINTS: Partial<Readonly<Record<Decision['reason'], string>>> = {
  NoSidecar:
    'Inject the manifest first (istioctl kube-inject -f FILE), or leave the gate to the cluster, which puts it in after Istio.',
  NotSelected: 'Annotate the pod, or name its Namespace with -n; --enroll=injected takes every injected pod.',
};

function hintOf({ reason }: Decision): string | undefined {
  return HINTS[reason];
}

function summary(outcomes: readonly Outcome[]): string {
  const lines = outcomes.map(({ source, gated, why }) => `${source}: ${gated ? 'gated' : 'unchanged'}: ${why}`);
  const hints = new Set(outcomes.flatMap(({ hint }) => (hint === undefined ? [] : [hint])));
  const count = outcomes.filter(({ gated }) => gated).length;
  const total =
    outcomes.length === 0 ? 'nothing here has a pod: unchanged' : `${count} of ${outcomes.length} pods gated`;
  return [...lines, ...hints, total].map((line) => `${line}\n`).join('');
}
