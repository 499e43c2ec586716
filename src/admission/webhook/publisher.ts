import type { Clock } from '../../kube/types.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ConfigurationKeeper } from './configuration-keeper.ts';
import { createPulse } from './pulse.ts';
import type { WebhookServer } from './server.ts';
import type { Certificate, Readiness } from './types.ts';

/** Brings certificates from their source to the API server first, and then to the server. */
export interface Publisher {
  offer(certificate: Certificate): void;
  /** The configuration may have changed. */
  look(): void;
  ready(): Pick<Readiness, 'certificate' | 'configuration'>;
  run(signal: AbortSignal): Promise<void>;
}

export interface PublisherOptions {
  readonly server: Pick<WebhookServer, 'useCertificate'>;
  readonly keeper: Pick<ConfigurationKeeper, 'useAuthorities' | 'carriedSinceMs'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settleMs: number;
  readonly onServed: (certificate: Certificate) => void;
}

const LOOK_AGAIN_MS = 60_000;

/**
 * A new certificate is served only after the configuration has carried its CA for a while. Until then the old one goes on being served,
 * whose CA stays in the bundle. At the start, and when the old one has expired, there is nothing to lose: the new one is served at once,
 * and readiness waits for the configuration.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { server, keeper, clock, log, settleMs } = options;
  const pulse = createPulse(clock.sleep);
  let offered: Certificate | undefined;
  let served: Certificate | undefined;

  function offer(certificate: Certificate): void {
    if (isSame(certificate, offered)) return;
    offered = certificate;
    keeper.useAuthorities(certificate.authorities);
    pulse.beat();
  }

  /** Gives the time until the next look, if nothing happens before. */
  function step(): number {
    if (offered === undefined || isSame(offered, served)) return LOOK_AGAIN_MS;
    const waitMs = isServing() ? settled(offered) : 0;
    if (waitMs > 0) return waitMs;
    if (served === undefined || !isSamePair(offered, served)) {
      server.useCertificate(offered);
      log.info('certificate served', { expires: new Date(offered.notAfterMs).toISOString() });
    }
    served = offered;
    options.onServed(served);
    return LOOK_AGAIN_MS;
  }

  /** Milliseconds until every API server may be taken to trust its CA. */
  function settled(certificate: Certificate): number {
    const sinceMs = keeper.carriedSinceMs(certificate.anchors);
    return sinceMs === undefined ? LOOK_AGAIN_MS : sinceMs + settleMs - clock.nowMs();
  }

  function isServing(): boolean {
    return served !== undefined && clock.wallClock().getTime() < served.notAfterMs;
  }

  return {
    offer,
    look: () => pulse.beat(),
    ready: () => ({
      certificate: isServing(),
      configuration: served !== undefined && keeper.carriedSinceMs(served.anchors) !== undefined,
    }),
    run: async (signal) => {
      while (!signal.aborted) {
        const untilExpiryMs = isServing() ? (served?.notAfterMs ?? 0) - clock.wallClock().getTime() : LOOK_AGAIN_MS;
        await pulse.next(Math.max(1, Math.min(step(), untilExpiryMs)), signal);
      }
    },
  };
}

function isSamePair(one: Certificate, other: Certificate): boolean {
  return one.chain === other.chain && one.key === other.key;
}

function isSame(one: Certificate, other: Certificate | undefined): boolean {
  if (other === undefined) return false;
  return isSamePair(one, other) && (one.authorities ?? []).join() === (other.authorities ?? []).join();
}
