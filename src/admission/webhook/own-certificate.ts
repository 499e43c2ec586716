import { messageOf } from '../../errors.ts';
import type { Clock } from '../../kube/types.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { anchorsOf, notAfterMs } from './certificate.ts';
import { type ClusterApi, secretsPath, type WriteResult } from './cluster-api.ts';
import { makeCertificate } from './make-certificate.ts';
import { createPulse } from './pulse.ts';
import {
  type CertificateSecret,
  newSecret,
  readSecret,
  secretData,
  type SecretOwner,
  type SecretState,
  secretState,
} from './secret.ts';
import type { Certificate, CertificateSource } from './types.ts';
import { watchOne } from './watch-one.ts';

export interface OwnCertificateOptions {
  readonly api: Pick<ClusterApi, 'listWatch' | 'createSecret' | 'patchSecret'>;
  readonly namespace: string;
  readonly secretName: string;
  /** `SERVICE.NAMESPACE.svc`. */
  readonly dnsName: string;
  readonly lifetimeMs: number;
  readonly owner: SecretOwner | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count'>;
}

/** After a write the watch tells what came of it, in milliseconds; if it does not, the write is repeated after this long. */
const SEEN_WITHIN_MS = 5_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_LONGEST_MS = 30_000;
/** The wall clock may be set, and timers do not take more than 24 days: it is looked at again at least this often. */
const LOOK_AGAIN_MS = 60_000;

/**
 * A certificate of our own making in a Secret that all replicas watch. Each may write it; the API server takes the first of two writes
 * onto the same version and refuses the second (create: the name exists; patch: resourceVersion), whose maker then serves the winner's.
 */
export function ownCertificate(options: OwnCertificateOptions): CertificateSource {
  const { api, namespace, secretName, clock, log, metrics } = options;
  const pulse = createPulse(clock.sleep);
  const where = `${namespace}/${secretName}`;
  let secret: CertificateSecret | undefined;
  let listed = false;
  let writeNotBeforeMs = 0;
  let failures = 0;
  let told = '';

  /** One look; gives the time until the next, if nothing happens before. */
  async function look(onCertificate: (certificate: Certificate) => void): Promise<number> {
    if (!listed) return LOOK_AGAIN_MS;
    const nowMs = clock.wallClock().getTime();
    const state = secretState(secret, { ...options, nowMs });
    if (state.kind === 'foreign') {
      tell(state, 'the Secret is not ours and holds no usable certificate: remove it, or choose another --secret-name');
      return LOOK_AGAIN_MS;
    }
    if (state.kind === 'usable') {
      onCertificate(served(state.secret, nowMs));
      if (nowMs < state.renewAtMs) return Math.min(state.renewAtMs - nowMs, LOOK_AGAIN_MS);
    }
    const waitMs = writeNotBeforeMs - clock.nowMs();
    if (waitMs > 0) return waitMs;
    if (state.kind === 'replace' && secret !== undefined) tell(state, 'the certificate is of no use and is replaced');
    await write(nowMs);
    return Math.max(1, writeNotBeforeMs - clock.nowMs());
  }

  /** Once for each version of the Secret. */
  function tell(state: SecretState & { readonly why: string }, message: string): void {
    const version = `${state.secret?.resourceVersion ?? ''} ${state.kind}`;
    if (version === told) return;
    told = version;
    log[state.kind === 'foreign' ? 'error' : 'warn'](message, { secret: where, why: state.why });
  }

  async function write(nowMs: number): Promise<void> {
    const old = secret;
    try {
      const fresh = await makeCertificate({ dnsName: options.dnsName, lifetimeMs: options.lifetimeMs, nowMs });
      const data = secretData(fresh, old, nowMs);
      const result = await stored(old, data);
      metrics.count('webhookCertificateWrites', { result });
      log.info(result === 'written' ? 'certificate made' : 'another replica has made a certificate', {
        secret: where,
        ...(result === 'written' ? { expires: new Date(notAfterMs(fresh.chain)).toISOString() } : {}),
      });
      failures = 0;
      writeNotBeforeMs = clock.nowMs() + SEEN_WITHIN_MS;
      // A version that the watch brought while we wrote is another one than `old`, and may be judged at once.
      if (secret !== old) writeNotBeforeMs = 0;
    } catch (error: unknown) {
      const ceilingMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), RETRY_LONGEST_MS);
      failures += 1;
      writeNotBeforeMs = clock.nowMs() + ceilingMs * (0.5 + clock.random() / 2);
      metrics.count('webhookCertificateWrites', { result: 'failed' });
      log.error('the certificate could not be written', { secret: where, error: messageOf(error) });
    }
  }

  function stored(old: CertificateSecret | undefined, data: object): Promise<WriteResult> {
    if (old === undefined) return api.createSecret(namespace, newSecret(secretName, { ...data }, options.owner));
    return api.patchSecret({ namespace, name: secretName, ...old }, { data });
  }

  function follow(signal: AbortSignal): Promise<void> {
    return watchOne(
      {
        ...{ api, log },
        path: secretsPath(namespace),
        resource: 'secrets',
        name: secretName,
        project: readSecret,
        onChange: (value) => {
          secret = value;
          writeNotBeforeMs = 0;
          pulse.beat();
        },
        onSynced: () => {
          listed = true;
          pulse.beat();
        },
      },
      signal,
    );
  }

  async function keep(onCertificate: (certificate: Certificate) => void, signal: AbortSignal): Promise<void> {
    let nextMs = LOOK_AGAIN_MS;
    while (!signal.aborted) {
      await pulse.next(nextMs, signal);
      if (!signal.aborted) nextMs = await look(onCertificate);
    }
  }

  return {
    run: async (onCertificate, signal) => void (await Promise.all([follow(signal), keep(onCertificate, signal)])),
  };
}

function served({ pems }: CertificateSecret, nowMs: number): Certificate {
  const anchors = anchorsOf(pems.chain, pems.authorities, nowMs);
  return { ...pems, anchors, notAfterMs: notAfterMs(pems.chain) };
}
