import type { IncomingMessage } from 'node:http';
import { createShares, type ShareLimits } from './shares.ts';

/** Why a body was not taken, as HTTP says it. */
export interface BodyRefusal {
  readonly status: 413 | 503;
  readonly message: string;
}

/** Takes bodies, within bounds for each and for all of them together. */
export interface BodyReader {
  /** Gives the whole body as text to `use`, or says why not. Undefined: `use` was called, or the client went away. */
  read(request: IncomingMessage, use: (body: string) => Promise<void>): Promise<BodyRefusal | undefined>;
}

export interface BodyLimits {
  /** Of one body. */
  readonly bytesMax: number;
  /** Bytes of all that are held until they are answered. */
  readonly held: ShareLimits;
  /** Of what is larger than this, or does not say how large it is, `large` are taken at a time. */
  readonly largeBytes: number;
  readonly large: ShareLimits;
  /** Values in one body, told by its brackets, braces and commas. */
  readonly valuesMax: number;
}

/**
 * Anybody in the cluster can send here, and three megabytes of `[[[[` take more than a hundred once they are parsed: without these bounds
 * a pod could end the process by its memory limit. Pods of half a megabyte hardly exist; where two come at once one is refused, and its
 * ReplicaSet tries again. All others pass by.
 */
export function createBodyReader(limits: BodyLimits): BodyReader {
  const tooLarge: BodyRefusal = { status: 413, message: `the body has more than ${limits.bytesMax} bytes` };
  const tooMany: BodyRefusal = { status: 413, message: `the body holds more than ${limits.valuesMax} values` };
  const busy: BodyRefusal = { status: 503, message: 'too many bodies at once' };
  const held = createShares(limits.held);
  const large = createShares(limits.large);

  async function read(
    request: IncomingMessage,
    use: (body: string) => Promise<void>,
  ): Promise<BodyRefusal | undefined> {
    const announced = announcedBytes(request);
    if (announced > limits.bytesMax && announced !== Number.POSITIVE_INFINITY) return tooLarge;
    const address = request.socket.remoteAddress ?? '';
    if (announced <= limits.largeBytes) return readWithin(request, address, use);
    if (!large.take(address, 1)) return busy;
    try {
      return await readWithin(request, address, use);
    } finally {
      large.give(address, 1);
    }
  }

  async function readWithin(
    request: IncomingMessage,
    address: string,
    use: (body: string) => Promise<void>,
  ): Promise<BodyRefusal | undefined> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of request) {
        const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
        if (bytes + buffer.length > limits.bytesMax) return tooLarge;
        if (!held.take(address, buffer.length)) return busy;
        bytes += buffer.length;
        chunks.push(buffer);
      }
      const whole = Buffer.concat(chunks.splice(0));
      if (holdsMore(whole, limits.valuesMax)) return tooMany;
      await use(whole.toString('utf8'));
      return undefined;
    } finally {
      held.give(address, bytes);
    }
  }

  return { read };
}

/** What the client says; without a word, anything can come. */
function announcedBytes({ headers }: IncomingMessage): number {
  const length = headers['content-length'];
  return length === undefined ? Number.POSITIVE_INFINITY : Number(length);
}

const [COMMA, BRACKET, BRACE] = Buffer.from(',[{');

/** Counts also within texts: a bound, not a measure. */
function holdsMore(json: Buffer, valuesMax: number): boolean {
  let values = 0;
  for (const byte of json) if (byte === COMMA || byte === BRACKET || byte === BRACE) values += 1;
  return values > valuesMax;
}
