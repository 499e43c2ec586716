import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CertificatePems } from './certificate.ts';
import { realClock } from './fake-cluster.ts';
import { fileCertificate } from './file-certificate.ts';
import { makeCertificate } from './make-certificate.ts';
import { recordingLog } from './recording.ts';
import type { Certificate } from './types.ts';

const DNS_NAME = 'webhook.own.svc';
let directory: string;
let stop: AbortController;
let mounts = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-files-'));
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(directory, { recursive: true });
});

describe('a certificate in files', () => {
  it('is read, and read again when kubelet swaps the mounted Secret', async () => {
    const [first, second] = [await fresh(), await fresh()];
    mount(first);
    const reading = start();
    await reading.offered(1);
    mount(second);
    await reading.offered(2);
    expect(reading.certificates.map(({ chain }) => chain)).toEqual([first.chain, second.chain]);
    expect(reading.certificates[1]).toMatchObject({ authorities: second.authorities, anchors: second.authorities });
  });

  it('leaves the CA bundle to somebody else without ca.crt', async () => {
    mount({ ...(await fresh()), authorities: [] });
    const reading = start();
    await reading.offered(1);
    expect(reading.certificates[0]).toMatchObject({ authorities: undefined, anchors: [] });
  });

  it('is waited for, and its faults are told once', async () => {
    const reading = start();
    await reading.log.until('tls.crt cannot be read');
    const [one, other] = [await fresh(), await fresh()];
    mount({ ...one, key: other.key });
    await reading.log.until('tls.key does not belong to tls.crt');
    mount({ ...one, authorities: other.authorities });
    await reading.log.until('no valid CA in ca.crt has issued tls.crt');
    mount(one);
    await reading.offered(1);
    expect(reading.log.lines.filter((line) => line.startsWith('error'))).toHaveLength(3);
  });
});

function fresh(): Promise<CertificatePems> {
  return makeCertificate({ dnsName: DNS_NAME, lifetimeMs: 3_600_000, nowMs: Date.now() });
}

/** As kubelet's AtomicWriter does it: files are links into `..data`, a link that is replaced by rename. */
function mount({ chain, key, authorities }: CertificatePems): void {
  mounts += 1;
  const version = `..version-${mounts}`;
  mkdirSync(join(directory, version));
  const files = {
    'tls.crt': chain,
    'tls.key': key,
    ...(authorities.length > 0 ? { 'ca.crt': authorities.join('\n') } : {}),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, version, name), text);
  symlinkSync(version, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  for (const name of ['tls.crt', 'tls.key', 'ca.crt']) {
    rmSync(join(directory, name), { force: true });
    if (name in files) symlinkSync(join('..data', name), join(directory, name));
  }
}

function start() {
  const certificates: Certificate[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const log = recordingLog();
  const source = fileCertificate({ directory, dnsName: DNS_NAME, clock: realClock(), log });
  void source.run((certificate) => {
    certificates.push(certificate);
    for (const one of waiting) if (certificates.length >= one.count) one.resolve();
  }, stop.signal);
  const offered = (count: number) =>
    new Promise<void>((resolve) => {
      if (certificates.length >= count) resolve();
      else waiting.push({ count, resolve });
    });
  return { certificates, log, offered };
}
