import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { isControllerError } from '../../src/errors.ts';
import { enterNetns, openNetns, warmThreadPool } from '../../src/netns/netns.ts';

/** Child of the process test: does one dangerous thing with a netns. */
const [what = '', path = ''] = process.argv.slice(2);
const home = readlinkSync('/proc/thread-self/ns/net');

if (what === 'own') await warmThreadPool();
if (what === 'cold' || what === 'own') {
  try {
    enterNetns(openNetns(path), () => undefined);
  } catch (error: unknown) {
    process.stdout.write(isControllerError(error) ? error.code : String(error));
  }
} else {
  await warmThreadPool();
  const netns = openNetns(path);
  if (what === 'async') void enterNetns(netns, () => Promise.resolve());
  if (what === 'stranded') enterNetns(netns, closeEverything);
  if (what === 'throws') {
    try {
      enterNetns(netns, () => {
        throw new Error('inside');
      });
    } catch {
      process.stdout.write(readlinkSync('/proc/thread-self/ns/net') === home ? 'home' : 'lost');
    }
  }
}

/** Closes every descriptor of a netns, and with it the way home. */
function closeEverything(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('net:')) closeSync(fd);
    } catch {
      // The descriptor of the listing itself is gone by now.
    }
  }
}
