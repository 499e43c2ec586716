import { BlockList, isIP } from 'node:net';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for a server, as kubectl reads it: HTTPS_PROXY or HTTP_PROXY by the server's scheme, lower case
 * too, unless NO_PROXY holds the host. A server on this machine is never behind one.
 */
export function proxyFromEnvironment(server: URL, env: Variables): string | undefined {
  const name = server.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
  const proxy = variable(env, name);
  if (proxy === undefined) return undefined;
  const host = server.hostname.replace(/^\[|\]$/g, '');
  if (isOwnMachine(host) || isExempt(host, server.port, variable(env, 'NO_PROXY') ?? '')) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

function variable(env: Variables, name: string): string | undefined {
  const value = env[name] ?? env[name.toLowerCase()];
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}

function isOwnMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `*`, ranges, addresses, and domains, which stand for their subdomains too; each may have a port. */
function isExempt(host: string, port: string, list: string): boolean {
  const entries = list.split(',').map((entry) => entry.trim().toLowerCase());
  return entries.some((entry) => {
    if (entry === '') return false;
    if (entry === '*') return true;
    if (entry.includes('/')) return isInRange(host, entry);
    if (isIP(entry) > 0) return entry === host;
    const [name = '', entryPort] = entry.split(':');
    if (entryPort !== undefined && entryPort !== (port === '' ? '443' : port)) return false;
    const domain = name.replace(/^\*?\./, '');
    return host.endsWith(`.${domain}`) || (host === domain && !name.startsWith('.'));
  });
}

function isInRange(host: string, range: string): boolean {
  const [address = '', prefix] = range.split('/');
  const family = isIP(host);
  if (family === 0 || isIP(address) !== family) return false;
  const length = Number(prefix);
  if (!Number.isInteger(length) || length < 0 || length > (family === 4 ? 32 : 128)) return false;
  const ranges = new BlockList();
  ranges.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  return ranges.check(host, family === 4 ? 'ipv4' : 'ipv6');
}
