import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the image runs in front of a verb: the Dockerfile is the one place that says it. */
export function imageEntrypoint(): readonly string[] {
  const line = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(import.meta.dirname, 'Dockerfile'), 'utf8'));
  const words: readonly string[] = JSON.parse(line?.[1] ?? '[]');
  if (words.length === 0) throw new Error('image/Dockerfile has no ENTRYPOINT as a JSON list');
  return words;
}
