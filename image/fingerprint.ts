import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** SHA-256 over texts and the contents of files, in the given order, as hex. */
export async function fingerprint(texts: readonly string[], files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text}\0`);
  for (const file of files) {
    hash.update(`${basename(file)}\0`);
    for await (const chunk of createReadStream(file)) hash.update(chunk);
  }
  return hash.digest('hex');
}

/** True if `output` exists and was made from inputs with this fingerprint. */
export async function isUpToDate(output: string, inputs: string): Promise<boolean> {
  try {
    await access(output);
    return (await readFile(recordOf(output), 'utf8')) === inputs;
  } catch {
    return false;
  }
}

/** Remembers, beside `output`, what it was made from. */
export async function recordInputs(output: string, inputs: string): Promise<void> {
  await writeFile(recordOf(output), inputs);
}

function recordOf(output: string): string {
  return `${output}.inputs`;
}
