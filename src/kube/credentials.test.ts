import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiServerUrl, serviceAccountCredentials, serviceAccountNamespace } from './credentials.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-credentials-'));
  writeFileSync(join(directory, 'token'), 'one\n');
  writeFileSync(join(directory, 'ca.crt'), PEM);
  writeFileSync(join(directory, 'namespace'), 'istio-system');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('credentials of a ServiceAccount', () => {
  it('reads token and CA again after a minute, or when told to', () => {
    let nowMs = 0;
    const credentials = serviceAccountCredentials(directory, () => nowMs);
    expect(credentials.current()).toMatchObject({ token: 'one', ca: PEM });
    writeFileSync(join(directory, 'token'), 'two');
    writeFileSync(join(directory, 'ca.crt'), PEM + PEM);
    nowMs = 60_000;
    expect(credentials.current().token).toBe('one');
    nowMs = 60_001;
    expect(credentials.current()).toMatchObject({ token: 'two', ca: PEM + PEM });
    writeFileSync(join(directory, 'token'), 'three');
    credentials.refresh();
    expect(credentials.current().token).toBe('three');
  });

  it.each([
    ['token', undefined, /token: ENOENT/],
    ['ca.crt', undefined, /ca\.crt: ENOENT/],
    ['token', ' \n', /token: is empty/],
    ['ca.crt', '', /ca\.crt: holds no certificate/],
  ])('names %s when it holds %j', (name, content, message) => {
    if (content === undefined) rmSync(join(directory, name));
    else writeFileSync(join(directory, name), content);
    const credentials = serviceAccountCredentials(directory, () => 0);
    expect(() => credentials.current()).toThrow(message);
    expect(() => credentials.current()).toThrow(expect.objectContaining({ code: 'FileUnreadable' }));
  });

  it('knows the Namespace of the agent', () => {
    expect(serviceAccountNamespace(directory)).toBe('istio-system');
  });
});

describe('the address of the API server', () => {
  it('is found over IPv4 and IPv6, and outside a cluster that is said', () => {
    expect(apiServerUrl({ KUBERNETES_SERVICE_HOST: '192.0.2.1', KUBERNETES_SERVICE_PORT: '6443' }).href).toBe(
      'https://192.0.2.1:6443/',
    );
    expect(apiServerUrl({ KUBERNETES_SERVICE_HOST: '2001:db8::1' }).href).toBe('https://[2001:db8::1]/');
    expect(() => apiServerUrl({})).toThrow(/KUBERNETES_SERVICE_HOST/);
  });
});
