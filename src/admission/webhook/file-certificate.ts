import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../errors.ts';
import type { Clock } from '../../kube/types.ts';
import type { Log } from '../../telemetry/log.ts';
import { anchorsOf, certificatesIn, notAfterMs, whyUnusable } from './certificate.ts';
import { createPulse } from './pulse.ts';
import type { Certificate, CertificateSource } from './types.ts';

export interface FileCertificateOptions {
  /** Holds tls.crt, tls.key and, unless somebody else keeps the CA bundle, ca.crt: a mounted Secret of cert-manager, or any files. */
  readonly directory: string;
  readonly dnsName: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The watch tells at once; this is for file systems that tell nothing. */
const LOOK_AGAIN_MS = 10_000;
/** Files that are written one after the other do not fit together for a moment. */
const SETTLE_MS = 100;

/** A certificate that somebody else keeps in files. kubelet replaces a mounted Secret as a whole, by the symbolic link `..data`. */
export function fileCertificate({ directory, dnsName, clock, log }: FileCertificateOptions): CertificateSource {
  const pulse = createPulse(clock.sleep);
  let offered = '';
  let told = '';

  function look(onCertificate: (certificate: Certificate) => void): void {
    const read = readPair(directory);
    const nowMs = clock.wallClock().getTime();
    const trust = typeof read !== 'string' && read.authorities.length > 0 ? 'checked' : 'unknown';
    const why = typeof read === 'string' ? read : whyUnusable(read, { dnsName, nowMs, trust });
    if (why !== undefined || typeof read === 'string') {
      if (why !== told) log.error('the certificate in files cannot be used', { directory, why });
      told = why ?? '';
      return;
    }
    told = '';
    const text = JSON.stringify(read);
    if (text === offered) return;
    offered = text;
    log.info('certificate read', { directory, expires: new Date(notAfterMs(read.chain)).toISOString() });
    const authorities = read.authorities.length === 0 ? undefined : read.authorities;
    const anchors = anchorsOf(read.chain, read.authorities, nowMs);
    onCertificate({ ...read, authorities, anchors, notAfterMs: notAfterMs(read.chain) });
  }

  return {
    run: async (onCertificate, signal) => {
      const stopWatching = watchDirectory(directory, () => pulse.beat(), log);
      try {
        while (!signal.aborted) {
          look(onCertificate);
          await pulse.next(LOOK_AGAIN_MS, signal);
          await clock.sleep(SETTLE_MS, signal);
        }
      } finally {
        stopWatching();
      }
    },
  };
}

function watchDirectory(directory: string, onChange: () => void, log: Log): () => void {
  try {
    const watcher = watch(directory, onChange);
    watcher.on('error', (error) =>
      log.warn('files are looked at by time only', { directory, error: messageOf(error) }),
    );
    return () => watcher.close();
  } catch (error: unknown) {
    log.warn('files are looked at by time only', { directory, error: messageOf(error) });
    return () => undefined;
  }
}

/** The files as they are, or what is missing. */
function readPair(directory: string): { chain: string; key: string; authorities: readonly string[] } | string {
  const [chain, key, bundle] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => readText(join(directory, name)));
  if (chain === undefined) return 'tls.crt cannot be read';
  if (key === undefined) return 'tls.key cannot be read';
  return { chain, key, authorities: certificatesIn(bundle ?? '') };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error: unknown) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
