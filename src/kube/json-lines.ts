import { ControllerError, messageOf } from '../errors.ts';

/** etcd takes objects up to 1.5 MiB; JSON of one is a few times that at most. */
const LINE_BYTES_MAX = 8 * 1024 * 1024;
const NEWLINE = 0x0a;

/** The values of newline-delimited JSON. Throws `ApiReply` for a line that is not JSON or too long, `ApiUnavailable` when the body breaks off. */
export async function* jsonLines(body: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  try {
    for await (const chunk of body) {
      let rest = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
        const line = Buffer.concat([...kept, rest.subarray(0, end)]);
        kept = [];
        keptBytes = 0;
        rest = rest.subarray(end + 1);
        if (line.length > 0) yield parse(line);
      }
      keptBytes += rest.length;
      if (keptBytes > LINE_BYTES_MAX)
        throw new ControllerError('ApiReply', `a watch event is longer than ${LINE_BYTES_MAX} bytes`);
      if (rest.length > 0) kept.push(rest);
    }
  } catch (error: unknown) {
    if (error instanceof ControllerError) throw error;
    throw new ControllerError('ApiUnavailable', `the watch broke off: ${messageOf(error)}`, { cause: error });
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch (error: unknown) {
    throw new ControllerError('ApiReply', 'a watch event is not JSON', { cause: error });
  }
}
