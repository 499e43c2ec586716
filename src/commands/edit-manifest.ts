import { Composer, CST, type Document, isMap, isSeq, Parser, stringify } from 'yaml';
import { ControllerError } from '../errors.ts';
import { readManifestText, shownName } from './manifest.ts';

/** A place in a document: keys and indexes. */
export type Path = readonly (string | number)[];

/** A document of a manifest that can be changed in place. */
export interface EditableDocument {
  readonly value: unknown;
  /** Puts another list of init containers into the pod at that place. Items of the old list keep their text and comments. */
  readonly setInitContainers: (pod: Path, after: readonly unknown[]) => void;
  /** Puts fields into the map at that place, which need not be there yet. */
  readonly setFields: (map: Path, fields: Readonly<Record<string, string>>) => void;
}

/** A manifest whose documents can be changed, and printed again. */
export interface EditableManifest {
  readonly documents: readonly EditableDocument[];
  readonly isJson: boolean;
  /** What was not changed stands there as it was read, byte by byte. */
  readonly toYaml: () => string;
  /** Several documents become one List. */
  readonly toJson: () => string;
}

/** Reads a manifest for editing; `-` is standard input. Throws `FileUnreadable` or `ManifestInvalid` naming the file and the place. */
export function readEditable(file: string): EditableManifest {
  const text = readManifestText(file);
  const tokens = [...new Parser().parse(text)];
  const parts = [...new Composer().compose(tokens, false, text.length)].map((document) => partOf(document, file));
  const filled = parts.filter(({ value }) => value !== null && value !== undefined);
  return {
    documents: filled,
    isJson: /^\s*[{[]/.test(text),
    toYaml: () => (parts.some(({ changed }) => changed()) ? yamlOf(tokens, parts, text) : text),
    toJson: () => {
      const [only, ...more] = filled.map(({ current }) => current());
      const all = more.length === 0 ? only : { apiVersion: 'v1', kind: 'List', items: [only, ...more] };
      return `${JSON.stringify(all ?? {}, undefined, 2)}\n`;
    },
  };
}

interface Part extends EditableDocument {
  readonly document: Document.Parsed;
  readonly changed: () => boolean;
  readonly current: () => unknown;
}

function partOf(document: Document.Parsed, file: string): Part {
  const [problem] = document.errors;
  if (problem !== undefined) throw new ControllerError('ManifestInvalid', `${shownName(file)}: ${problem.message}`);
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  let current = value;
  return {
    document,
    value,
    changed: () => current !== value,
    current: () => current,
    setInitContainers: (pod, after) => {
      const place = [...pod, 'spec', 'initContainers'];
      const before = valueAt(value, place);
      const nodes = document.getIn(place, true);
      if (isSeq(nodes) && Array.isArray(before)) {
        const old = [...nodes.items];
        nodes.items = after.map((one) => (before.includes(one) ? old[before.indexOf(one)] : document.createNode(one)));
      } else document.setIn(place, document.createNode(after));
      current = withValueAt(current, place, after);
    },
    setFields: (place, fields) => {
      if (Object.keys(fields).length === 0) return;
      const before = valueAt(current, place);
      const all = typeof before === 'object' ? { ...before, ...fields } : fields;
      // What is no map of its own there, such as an alias, is written out.
      if (isMap(document.getIn(place, true)))
        for (const [key, value] of Object.entries(fields)) document.setIn([...place, key], value);
      else document.setIn(place, document.createNode(all));
      current = withValueAt(current, place, all);
    },
  };
}

/** The source with the changed documents written anew. What stands before such a document, its comments, is part of what it writes. */
function yamlOf(tokens: readonly CST.Token[], parts: readonly Part[], text: string): string {
  const written: string[] = [];
  let before = '';
  let index = 0;
  for (const token of tokens) {
    if (token.type !== 'document') {
      before += CST.stringify(token);
      continue;
    }
    const part = parts[index];
    index += 1;
    written.push(part?.changed() === true ? documentText(part, text) : `${before}${CST.stringify(token)}`);
    before = '';
  }
  return written.join('') + before;
}

function documentText({ document, current }: Part, text: string): string {
  // kubectl and Istio write lists at the column of their key, people often two further right.
  const indentSeq = !/^( *)[\w./-]+:[ \t]*\n\1- /m.test(text);
  const options = { lineWidth: 0, indentSeq };
  try {
    return document.toString(options);
  } catch {
    // An anchor stood in what was taken out, and something refers to it.
    return `---\n${stringify(current(), { ...options, aliasDuplicateObjects: false })}`;
  }
}

/** What stands at a place of a value; undefined if a step is not there. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (here, step) => (typeof here === 'object' && here !== null ? Reflect.get(here, step) : undefined),
    value,
  );
}

/** A copy that differs at one place. */
function withValueAt(value: unknown, [step, ...rest]: Path, inner: unknown): unknown {
  if (step === undefined) return inner;
  const changed = withValueAt(valueAt(value, [step]), rest, inner);
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === step ? changed : item));
  return { ...Object(value), [step]: changed };
}
