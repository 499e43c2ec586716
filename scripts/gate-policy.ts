import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Expression } from '../src/admission/expression.ts';
import { isOptedOut, usesHostNetwork } from '../src/admission/gate-rule.ts';
import { CONDITIONS, type Refusal, REFUSALS } from '../src/admission/gated-rule.ts';
import { HELD_CONDITIONS, HELD_REFUSALS } from '../src/admission/held-rule.ts';
import { type GateMode, POD_CHANGES } from '../src/admission/pod-change.ts';
import { namedIn, toCel } from '../src/admission/to-cel.ts';
import { ISTIO_VALUES, istioValues } from './gate-template.ts';

/**
 * The rule of the gate as CEL, for the admission policies of the chart: named templates, one for each part of a policy.
 * `node scripts/gate-policy.ts` writes them; a unit test compares.
 */
const GATE_TEMPLATE = 'chart/istio-pod-network-controller/templates/_gate.tpl';

/** What the chart puts in where the rule names a setting. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  name: "'{{ .Values.gate.containerName }}'",
  nodeSelector: '{{ .Values.gate.nodeSelector | default dict | toJson }}',
  sidecarName: "'{{ .Values.agent.sidecarName }}'",
  enroll: "'{{ .Values.agent.enroll }}'",
  image: '{{ include "image" . | toJson }}',
  imagePullPolicy: "'{{ .Values.image.pullPolicy }}'",
  args: '{{ concat (list (printf "--timeout=%v" .Values.gate.timeoutSeconds)) .Values.gate.extraArgs | toJson }}',
  resources: '{{ include "gate.cel.value" .Values.gate.resources }}',
};

/** The text of `_gate.tpl`. */
function gateTemplate(): string {
  return [
    '{{/* Generated from src/admission/*-rule.ts and pod-change.ts by node scripts/gate-policy.ts: change it there. */}}',
    CEL_VALUE,
    definition('gate.matchConditions', [
      condition('not-host-network', not(usesHostNetwork)),
      condition('not-opted-out', not(isOptedOut)),
    ]),
    ...MODES.flatMap((mode) => mutationOf(mode)),
    definition('gate.refusals.matchConditions', conditions(CONDITIONS)),
    ...MODES.flatMap((mode) => refusalsOf(`gate.refusals.${mode}`, REFUSALS[mode])),
    definition('gate.held.matchConditions', conditions(HELD_CONDITIONS)),
    ...refusalsOf('gate.held', HELD_REFUSALS),
    '',
  ].join('\n\n');
}

const MODES: readonly GateMode[] = ['container', 'runtime'];

function mutationOf(mode: GateMode): readonly string[] {
  const { when, initContainers, annotations, nodeSelector } = POD_CHANGES[mode];
  const all = mode === 'container' ? [when, initContainers] : [when, initContainers, annotations, nodeSelector];
  return [
    definition(`gate.mutation.${mode}.variables`, variables(all)),
    definition(`gate.mutation.${mode}`, [mode === 'container' ? mutationCel() : gatelessCel()]),
  ];
}

function refusalsOf(name: string, refusals: readonly Refusal[]): readonly string[] {
  return [
    definition(`${name}.variables`, variables(refusals.flatMap(({ when, message }) => [when, message]))),
    definition(`${name}.validations`, refusals.map(validation)),
  ];
}

/** The new list is given as maps of `dyn` values: inside a plain list an Object literal makes kube-apiserver 1.36.3 panic. */
function mutationCel(): string {
  const { when, initContainers } = POD_CHANGES.container;
  return `${cel(when)} ? [\n${indented(initContainersPatch(initContainers), 2)}\n] : []`;
}

/** Nothing of it but the list of init containers is there for sure: a map that is missing is made before keys are put into it. */
function gatelessCel(): string {
  const { when, initContainers, annotations, nodeSelector } = POD_CHANGES.runtime;
  const patches = [
    `[\n${indented(initContainersPatch(initContainers), 2)}\n]`,
    ...mapPatches('metadata', 'annotations', annotations),
    ...mapPatches('spec', 'nodeSelector', nodeSelector),
  ];
  return `(${cel(when)}) ? (\n${indented(patches.join(' +\n'), 2)}\n) : []`;
}

function initContainersPatch(initContainers: Expression): string {
  return `JSONPatch{\n  op: 'replace',\n  path: '/spec/initContainers',\n  value: ${after(cel(initContainers))}\n}`;
}

function mapPatches(parent: string, field: string, pairs: Expression): readonly string[] {
  const path = `/${parent}/${field}`;
  return [
    `(has(object.${parent}.${field}) ? [] : [JSONPatch{op: 'add', path: '${path}', value: {}}])`,
    [
      `(${cel(pairs)}).map(`,
      '  pair,',
      `  JSONPatch{op: 'add', path: '${path}/' + jsonpatch.escapeKey(pair[0]), value: pair[1]}`,
      ')',
    ].join('\n'),
  ];
}

function variables(expressions: readonly Expression[]): readonly string[] {
  return namedIn(expressions).map(
    ({ name, why, is }) => `# ${why}\n- name: ${name}\n  ${block('expression', cel(is))}`,
  );
}

function condition(name: string, expression: Expression): string {
  const inline = toCel(expression, { settings: placeholder, named: 'inline' });
  return `- name: ${name}\n  ${block('expression', inline)}`;
}

function conditions(all: Readonly<Record<string, Expression>>): readonly string[] {
  return Object.entries(all).map(([name, expression]) => condition(name, expression));
}

function validation({ when, message }: Refusal): string {
  return [
    `- ${block('expression', cel(not(when)))}`,
    '  reason: Forbidden',
    `  ${block('messageExpression', cel(message))}`,
  ].join('\n');
}

function definition(name: string, parts: readonly string[]): string {
  return `{{- define "${name}" -}}\n${parts.join('\n')}\n{{- end }}`;
}

/** A block of YAML under a key that itself stands two columns to the right. */
function block(key: string, text: string): string {
  return `${key}: |-\n${indented(text, 4)}`;
}

function cel(expression: Expression): string {
  return toCel(expression, { settings: placeholder, named: 'variable' });
}

function not(of: Expression): Expression {
  return { kind: 'not', of };
}

function placeholder(name: string): string {
  const text = PLACEHOLDERS[name];
  if (text === undefined) throw new Error(`the chart has no value for the setting ${name}`);
  return text;
}

function indented(text: string, columns: number): string {
  return text.replaceAll(/^/gm, ' '.repeat(columns));
}

/** All lines but the first, under something that stands two columns to the right. */
function after(text: string): string {
  return text.replaceAll('\n', '\n  ');
}

/** Values of people as CEL: each `dyn`, for the values of one map may have different types. */
const CEL_VALUE = `{{/* Any value as CEL. */}}
{{- define "gate.cel.value" -}}
{{- if kindIs "map" . -}}
dyn({ {{- range $key, $value := . }}{{ $key | toJson }}: {{ include "gate.cel.value" $value }}, {{ end -}} })
{{- else if kindIs "slice" . -}}
dyn([ {{- range . }}{{ include "gate.cel.value" . }}, {{ end -}} ])
{{- else -}}
dyn({{ . | toJson }})
{{- end -}}
{{- end }}`;

/** Every file that is written from the rule, by its path in the repository. */
export function gateFiles(): Readonly<Record<string, string>> {
  return { [GATE_TEMPLATE]: gateTemplate(), [ISTIO_VALUES]: istioValues() };
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(gateFiles())) {
    writeFileSync(join(resolve(import.meta.dirname, '..'), file), text);
    process.stdout.write(`${file}\n`);
  }
}
