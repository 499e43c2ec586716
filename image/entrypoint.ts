import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the image runs in front of a verb: the Dockerfile is the one place that says it. */
export function imageEntrypoint(): readonly string[] {
  const line = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile());
  const words: readonly string[] = JSON.parse(line?.[1] ?? '[]');
  if (words.length === 0) throw new Error('image/Dockerfile has no ENTRYPOINT as a JSON list');
  return words;
}

/** The variables that every container of the image has, one `ENV NAME=VALUE` each. */
export function imageEnvironment(): Readonly<Record<string, string>> {
  const lines = dockerfile().matchAll(/^ENV (\w+)=(\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

function dockerfile(): string {
  return readFileSync(join(import.meta.dirname, 'Dockerfile'), 'utf8');
}
