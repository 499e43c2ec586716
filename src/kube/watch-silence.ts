import type { Readable } from 'node:stream';

export interface Silence {
  /** True once the stream was destroyed for being silent. */
  tooLong(): boolean;
  end(): void;
}

/** Destroys a stream on which nothing comes for `idleMs`: a half-open connection says nothing for ever, and no error either. */
export function watchSilence(stream: Readable, idleMs: number): Silence {
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    stream.destroy(new Error(`nothing received for ${idleMs} ms`));
  }, idleMs);
  // Beside the reader, not in its way: `data` here would take the chunks from it.
  const heard = () => void timer.refresh();
  stream.on('readable', heard);
  return {
    tooLong: () => silent,
    end: () => {
      clearTimeout(timer);
      stream.off('readable', heard);
    },
  };
}
