import { describe, expect, it } from 'vitest';
import { proxyFromEnvironment } from './proxy-variables.ts';

const PROXY = 'http://proxy.example:3128';

function proxy(server: string, env: Record<string, string>): string | undefined {
  return proxyFromEnvironment(new URL(server), env);
}

describe('the proxy of the environment', () => {
  it('is chosen by scheme, in either case, with http:// where none is written', () => {
    expect(proxy('https://api.example:6443', { HTTPS_PROXY: PROXY })).toBe(PROXY);
    expect(proxy('https://api.example:6443', { https_proxy: 'proxy.example:3128' })).toBe(PROXY);
    expect(proxy('https://api.example:6443', { HTTP_PROXY: PROXY })).toBeUndefined();
    expect(proxy('http://api.example', { HTTP_PROXY: PROXY })).toBe(PROXY);
    expect(proxy('https://api.example', { HTTPS_PROXY: ' ' })).toBeUndefined();
  });

  it.each([
    ['https://127.0.0.1:6443', ''],
    ['https://[::1]:6443', ''],
    ['https://localhost:6443', ''],
    ['https://api.example', '*'],
    ['https://api.example', 'other,api.example'],
    ['https://api.example', 'example'],
    ['https://a.b.example', '.b.example'],
    ['https://a.b.example', '*.example'],
    ['https://api.example', 'api.example:443'],
    ['https://192.0.2.7', '192.0.2.0/24'],
    ['https://192.0.2.7', '192.0.2.7'],
    ['https://[2001:db8::7]', '2001:db8::/32'],
  ])('is not for %s with NO_PROXY=%j', (server, list) => {
    expect(proxy(server, { HTTPS_PROXY: PROXY, NO_PROXY: list })).toBeUndefined();
  });

  it.each([
    ['https://api.example', 'pi.example'],
    ['https://example', '.example'],
    ['https://api.example:6443', 'api.example:443'],
    ['https://192.0.3.7', '192.0.2.0/24'],
    ['https://192.0.2.7', '192.0.2.0/99'],
    ['https://api.example', '192.0.2.0/24'],
  ])('is for %s with NO_PROXY=%j', (server, list) => {
    expect(proxy(server, { HTTPS_PROXY: PROXY, NO_PROXY: list })).toBe(PROXY);
  });
});
