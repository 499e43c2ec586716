import type { Mark } from '../netns/mark-text.ts';
import type { AnnotationReading } from './annotation-file.ts';
import type { GateOptions } from './gate-options.ts';

export type MarkReading = Mark | { readonly kind: 'unreadable'; readonly why: string };

/** What the gate sees in one look. A part is undefined when the mode does not ask for it. */
export interface Observation {
  readonly mark: MarkReading | undefined;
  readonly annotation: AnnotationReading | undefined;
}

/** One condition that does not hold. */
export interface Missing {
  readonly text: string;
  /** A person has to know at once; without it time alone may bring it. */
  readonly urgent: boolean;
}

export function needsMark(options: GateOptions): boolean {
  return options.mode !== 'annotation';
}

export function needsAnnotation(options: GateOptions): boolean {
  return options.mode !== 'mark';
}

/** Everything the mode asks for that does not hold; empty: the gate opens. A part that was not looked at does not hold. */
export function whatIsMissing(seen: Observation, options: GateOptions): readonly Missing[] {
  const missing: Missing[] = [];
  if (needsMark(options)) missing.push(...markMissing(seen.mark, options));
  if (needsAnnotation(options)) missing.push(...annotationMissing(seen.annotation, options));
  return missing;
}

function markMissing(mark: MarkReading | undefined, options: GateOptions): readonly Missing[] {
  switch (mark?.kind) {
    case 'ready':
      return [];
    case 'refused':
      return [{ text: `the node agent refuses this pod: ${mark.code}: ${oneLine(mark.text)}`, urgent: true }];
    case 'foreign':
      return [
        { text: `the alias of lo is not the node agent's: ${JSON.stringify(mark.alias.slice(0, 256))}`, urgent: true },
      ];
    case 'unreadable':
      return [{ text: `the mark of the node agent cannot be read: ${options.markFile}: ${mark.why}`, urgent: true }];
    case 'none':
    case undefined:
      return [{ text: `the mark of the node agent on lo (${options.markFile})`, urgent: false }];
  }
}

function annotationMissing(reading: AnnotationReading | undefined, options: GateOptions): readonly Missing[] {
  const { annotationKey: key, annotationValue: wanted, file } = options;
  switch (reading?.kind) {
    case 'value': {
      if (reading.value === wanted) return [];
      const found = JSON.stringify(reading.value.slice(0, 256));
      return [{ text: `annotation ${key} in ${file} is ${found}, not ${JSON.stringify(wanted)}`, urgent: true }];
    }
    case 'unreadable':
      return [{ text: `annotation ${key} cannot be read from ${file}: ${reading.why}`, urgent: true }];
    case 'absent':
    case undefined:
      return [{ text: `annotation ${key}=${wanted} in ${file}`, urgent: false }];
  }
}

/** Text from the mark goes to a person's terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
