/**
 * The whole of a stream as UTF-8 text, or undefined if it has more than `bytesMax` bytes: then nothing more of it is read, and leaving the
 * loop destroys it (Node: Readable[Symbol.asyncIterator]). Rejects as the stream does.
 */
export async function textWithin(stream: AsyncIterable<unknown>, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += buffer.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
