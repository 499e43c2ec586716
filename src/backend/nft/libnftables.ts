import koffi from 'koffi';
import { ControllerError, messageOf } from '../../errors.ts';
import { nftFailure } from './nft-failure.ts';
import { commentInText, parseTableJson, saysNoTable } from './nft-output.ts';

/** Talks to nf_tables of whatever netns the calling thread is in. */
export interface Nft {
  /**
   * Makes a context in the current netns, hands it to `work`, and frees it. A context stays tied to the netns it was made in, so it
   * must never outlive the visit: enter, `withContext`, leave.
   */
  withContext<T>(work: (context: NftContext) => T): T;
}

export interface NftContext {
  /** Runs one script as one transaction; throws a ControllerError and changes nothing if any part of it is refused. */
  run(script: string): void;
  /** Lets kernel and library check a script without carrying it out. */
  check(script: string): void;
  /**
   * The table of family inet as libnftables' JSON, or undefined if there is none. The JSON of libnftables 1.0.6 lacks the table's
   * comment; later versions have it.
   */
  listTable(name: string): unknown;
  /** The comment of a table of family inet, whatever the version; undefined if there is no table or no comment. */
  tableComment(name: string): string | undefined;
}

interface Library {
  readonly ctxNew: (flags: number) => unknown;
  readonly ctxFree: (ctx: unknown) => void;
  readonly bufferOutput: (ctx: unknown) => number;
  readonly bufferError: (ctx: unknown) => number;
  readonly setOutputFlags: (ctx: unknown, flags: number) => void;
  readonly setDryRun: (ctx: unknown, on: boolean) => void;
  readonly run: (ctx: unknown, script: string) => number;
  readonly output: (ctx: unknown) => string | null;
  readonly error: (ctx: unknown) => string | null;
}

/** nftables/libnftables.h */
const NFT_CTX_DEFAULT = 0;
const OUTPUT_JSON = 1 << 4;
/** Numbers instead of names for protocols, priorities, constants, times: names would come from files of this machine. */
const OUTPUT_NUMERIC_ALL = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10);
const OUTPUT_STATELESS = 1 << 2;
/** Without set elements. */
const OUTPUT_TERSE = 1 << 11;

let loaded: Nft | undefined;

/**
 * Loads libnftables once for the process. It is never unloaded: a context that still holds buffered output when the library goes away
 * crashes the process at exit.
 */
export function loadLibnftables(): Nft {
  loaded ??= bind(openLibrary());
  return loaded;
}

function bind(library: Library): Nft {
  return {
    withContext: (work) => {
      const ctx = library.ctxNew(NFT_CTX_DEFAULT);
      if (ctx === null) throw new ControllerError('NftRejected', 'libnftables could not make a context');
      try {
        library.bufferOutput(ctx);
        library.bufferError(ctx);
        return work(contextOf(library, ctx));
      } finally {
        library.ctxFree(ctx);
      }
    },
  };
}

function contextOf(library: Library, ctx: unknown): NftContext {
  return {
    run: (script) => runOrThrow(library, ctx, script),
    check: (script) => {
      library.setDryRun(ctx, true);
      try {
        runOrThrow(library, ctx, script);
      } finally {
        library.setDryRun(ctx, false);
      }
    },
    listTable: (name) => listTable(library, ctx, name),
    tableComment: (name) => tableComment(library, ctx, name),
  };
}

function runOrThrow(library: Library, ctx: unknown, script: string): void {
  if (library.run(ctx, script) !== 0) throw nftFailure(library.error(ctx) ?? '');
}

function listTable(library: Library, ctx: unknown, name: string): unknown {
  library.setOutputFlags(ctx, OUTPUT_JSON | OUTPUT_NUMERIC_ALL);
  return list(library, ctx, name) ? parseTableJson(library.output(ctx) ?? '') : undefined;
}

function tableComment(library: Library, ctx: unknown, name: string): string | undefined {
  library.setOutputFlags(ctx, OUTPUT_NUMERIC_ALL | OUTPUT_STATELESS | OUTPUT_TERSE);
  if (!list(library, ctx, name)) return undefined;
  return commentInText(library.output(ctx) ?? '');
}

/** False if there is no such table. */
function list(library: Library, ctx: unknown, name: string): boolean {
  if (library.run(ctx, `list table inet ${name}`) === 0) return true;
  const text = library.error(ctx) ?? '';
  if (saysNoTable(text)) return false;
  throw nftFailure(text);
}

function openLibrary(): Library {
  if (process.platform !== 'linux') {
    throw new ControllerError('WrongPlatform', `nftables is Linux only, this is ${process.platform}`);
  }
  try {
    const library = koffi.load('libnftables.so.1');
    return {
      ctxNew: library.func('void *nft_ctx_new(uint32_t flags)'),
      ctxFree: library.func('void nft_ctx_free(void *ctx)'),
      bufferOutput: library.func('int nft_ctx_buffer_output(void *ctx)'),
      bufferError: library.func('int nft_ctx_buffer_error(void *ctx)'),
      setOutputFlags: library.func('void nft_ctx_output_set_flags(void *ctx, unsigned int flags)'),
      setDryRun: library.func('void nft_ctx_set_dry_run(void *ctx, bool dry)'),
      run: library.func('int nft_run_cmd_from_buffer(void *ctx, const char *buf)'),
      output: library.func('const char *nft_ctx_get_output_buffer(void *ctx)'),
      error: library.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
    };
  } catch (error: unknown) {
    throw new ControllerError('LibraryMissing', `libnftables.so.1 cannot be loaded: ${messageOf(error)}`, {
      hint: 'Install libnftables 1.0.1 or newer (Debian: libnftables1, Fedora: nftables-libs).',
      cause: error,
    });
  }
}
