import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiServerUrl } from './credentials.ts';
import { createTransport, type Transport } from './request.ts';

const openssl = spawnSync('openssl', ['version']).status === 0;
if (!openssl) process.stderr.write('skipped: TLS tests need the openssl command to make certificates\n');
const ipv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));
if (!ipv6) process.stderr.write('skipped: this machine has no ::1\n');

const request = { method: 'GET', verb: 'list', resource: 'pods', path: '/', timeoutMs: 10_000 } as const;

describe.skipIf(!openssl)('over TLS', () => {
  let directory: string;
  let certificate: { readonly key: string; readonly cert: string };
  let other: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'istio-pnc-tls-'));
    certificate = selfSigned(directory, 'IP:127.0.0.1,IP:::1');
    other = selfSigned(directory, 'IP:127.0.0.1').cert;
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('trusts the CA of the ServiceAccount and no other, and follows when it is replaced', async () => {
    const { server, port } = await listening('127.0.0.1');
    let ca = other;
    const transport = transportTo(new URL(`https://127.0.0.1:${port}`), () => ca);
    await expect(ask(transport)).rejects.toMatchObject({
      code: 'ApiUnavailable',
      message: expect.stringContaining('self-signed'),
    });
    ca = certificate.cert;
    expect(await ask(transport)).toEqual({ ok: true });
    ca = other;
    // A connection that is kept from before must not serve the new trust.
    await expect(ask(transport)).rejects.toMatchObject({ code: 'ApiUnavailable' });
    transport.close();
    server.close();
  });

  it('refuses a certificate for another address', async () => {
    const { server, port } = await listening('127.0.0.1');
    const transport = transportTo(new URL(`https://localhost:${port}`), () => certificate.cert);
    await expect(ask(transport)).rejects.toMatchObject({ message: expect.stringContaining('localhost') });
    transport.close();
    server.close();
  });

  it.skipIf(!ipv6)('speaks to an IPv6 address', async () => {
    const { server, port } = await listening('::1');
    const url = apiServerUrl({ KUBERNETES_SERVICE_HOST: '::1', KUBERNETES_SERVICE_PORT: String(port) });
    const transport = transportTo(url, () => certificate.cert);
    expect(await ask(transport)).toEqual({ ok: true });
    transport.close();
    server.close();
  });

  async function listening(host: string): Promise<{ server: Server; port: number }> {
    const server = createServer(certificate, (_, response) => response.end('{"ok":true}'));
    await new Promise<void>((resolve) => {
      server.listen(0, host, resolve);
    });
    return { server, port: (server.address() as AddressInfo).port };
  }
});

function transportTo(baseUrl: URL, ca: () => string): Transport {
  const credentials = { current: () => ({ token: 'secret', ca: ca() }), refresh: () => undefined };
  return createTransport({ baseUrl, credentials, observe: () => undefined });
}

function ask(transport: Transport): Promise<unknown> {
  return transport.json(request, new AbortController().signal);
}

function selfSigned(directory: string, names: string): { key: string; cert: string } {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names}`];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...subject, ...files], {
    stdio: 'ignore',
  });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
