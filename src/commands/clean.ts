import { captureEffect } from '../agent/capture-netns.ts';
import { type Given, required } from './given.ts';
import { outputOf, print } from './output.ts';

/** `clean --netns PATH`: removes our table and our mark; doing it twice is fine. */
export async function cleanVerb(given: Given): Promise<number> {
  const output = outputOf(given['output']);
  const netnsPath = required(given, 'netns');
  const cleaned = (await captureEffect()).clean(netnsPath);
  const parts = [
    cleaned.tableRemoved ? 'table removed' : 'no table',
    cleaned.routingRemoved ? 'routes removed' : 'no routes of ours',
    cleaned.markRemoved ? 'mark removed' : 'no mark of ours',
  ];
  print(output, { netns: netnsPath, ...cleaned }, [`${netnsPath}: ${parts.join(', ')}`]);
  return 0;
}
