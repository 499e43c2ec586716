import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectProxy } from '../../test/support/connect-proxy.ts';
import { isControllerError } from '../errors.ts';
import { type FakeApiServer, fakeApiServer, type Exchange } from '../kube/fake-api-server.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { openLogin } from './login.ts';

let server: FakeApiServer;
let directory: string;
let opened: Cluster[];

beforeEach(async () => {
  server = await fakeApiServer();
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-kubeconfig-'));
  opened = [];
});
afterEach(async () => {
  for (const cluster of opened) cluster.close();
  await server.close();
  rmSync(directory, { recursive: true });
});

/** A cluster by a kubeconfig with this user; the server is plain HTTP, as `kubectl proxy` is. */
async function clusterWith(
  user: object,
  more: { readonly cluster?: object; readonly as?: string; readonly prefix?: string } = {},
) {
  const kubeconfig = join(directory, 'config');
  const cluster = { server: `${server.url.origin}${more.prefix ?? ''}`, ...more.cluster };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      clusters: [{ name: 'k', cluster }],
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'shop' } }],
      users: [{ name: 'u', user }],
    }),
  );
  const login = await openLogin({ kubeconfig, context: undefined, as: more.as, env: {}, say: () => undefined });
  const one = openCluster(login, { requestTimeoutMs: 5_000, signal: new AbortController().signal });
  opened.push(one);
  return one;
}

const PODS = { path: '/api/v1/pods', resource: 'pods' };

async function headersOf(cluster: Cluster): Promise<Exchange['headers']> {
  const answer = cluster.get(PODS);
  const exchange = await server.next();
  exchange.reply(200, {});
  await answer;
  return exchange.headers;
}

function plugin(script: string): object {
  const command = join(directory, 'login-plugin');
  writeFileSync(command, `#!/bin/sh\n${script}\n`);
  chmodSync(command, 0o755);
  return {
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './login-plugin', interactiveMode: 'Never' },
  };
}

const CREDENTIAL = `echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'$TOKEN'"}}'`;

describe('a login by', () => {
  it('token, token file, name and password', async () => {
    expect(await headersOf(await clusterWith({ token: 'abc' }))).toMatchObject({ authorization: 'Bearer abc' });
    writeFileSync(join(directory, 'token'), 'from-file\n');
    expect(await headersOf(await clusterWith({ tokenFile: 'token' }))).toMatchObject({
      authorization: 'Bearer from-file',
    });
    const basic = await headersOf(await clusterWith({ username: 'ann', password: 'p' }));
    expect(basic.authorization).toBe(`Basic ${Buffer.from('ann:p').toString('base64')}`);
  });

  it('OIDC, with an id token that is still good', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'none' })}.${part({ exp: Math.floor(Date.now() / 1000) + 600 })}.x`;
    const oidc = { 'auth-provider': { name: 'oidc', config: { 'id-token': token, 'client-id': 'c' } } };
    expect((await headersOf(await clusterWith(oidc))).authorization).toBe(`Bearer ${token}`);
  });

  it('plugin: run beside the kubeconfig, told what it is asked for, and again after a 401', async () => {
    const count = join(directory, 'count');
    const cluster = await clusterWith(
      plugin(
        `test -n "$KUBERNETES_EXEC_INFO" || exit 1; echo >> '${count}'; TOKEN=t$(wc -l < '${count}'); ${CREDENTIAL}`,
      ),
    );
    const answer = cluster.get(PODS);
    const first = await server.next();
    expect(first.headers.authorization).toBe('Bearer t1');
    first.reply(401, { message: 'Unauthorized' });
    const second = await server.next();
    expect(second.headers.authorization).toBe('Bearer t2');
    second.reply(200, { kind: 'PodList' });
    expect(await answer).toEqual({ kind: 'PodList' });
    // A token without an end is used again.
    expect((await headersOf(cluster)).authorization).toBe('Bearer t2');
  });

  it('plugin runs it once, however many requests wait for it', async () => {
    const count = join(directory, 'count');
    const cluster = await clusterWith(plugin(`echo >> '${count}'; TOKEN=t$(wc -l < '${count}'); ${CREDENTIAL}`));
    const answers = Promise.all([cluster.get(PODS), cluster.get(PODS), cluster.get(PODS)]);
    const three = [await server.next(), await server.next(), await server.next()];
    // All three are refused; the plugin is asked once more, not three times.
    for (const exchange of three) exchange.reply(401, { message: 'Unauthorized' });
    const again = [await server.next(), await server.next(), await server.next()];
    expect(again.map(({ headers }) => headers.authorization)).toEqual(['Bearer t2', 'Bearer t2', 'Bearer t2']);
    for (const exchange of again) exchange.reply(200, {});
    await answers;
  });

  it.each([
    ['that fails', 'echo "you are not logged in" >&2; exit 3', /login plugin .*login-plugin: you are not logged in/],
    ['that says nothing', 'exit 0', /login plugin .*login-plugin: /],
    ['that is not there', undefined, /login plugin .*nowhere: is not installed/],
  ])('a plugin %s names context, file and plugin', async (_, script, message) => {
    const user =
      script === undefined ? { exec: { command: 'nowhere', installHint: 'See nowhere.example' } } : plugin(script);
    const cluster = await clusterWith(user);
    const error: unknown = await cluster.get(PODS).catch((one: unknown) => one);
    expect(isControllerError(error, 'LoginFailed') && error.message).toMatch(message);
    expect(isControllerError(error) && error.message).toContain(`context c of ${directory}/config`);
    if (script === undefined) expect(isControllerError(error) && error.hint).toBe('See nowhere.example');
  });

  it('a certificate that is not there is named', async () => {
    const cluster = await clusterWith({ 'client-certificate': 'gone.crt', 'client-key': 'gone.key' });
    await expect(cluster.get(PODS)).rejects.toThrow(/context c of .*gone\.crt/);
  });

  it('impersonation, with the groups of the kubeconfig', async () => {
    const own = await headersOf(await clusterWith({ token: 'abc', as: 'bob', 'as-groups': ['dev', 'ops'] }));
    expect(own).toMatchObject({ 'impersonate-user': 'bob', 'impersonate-group': 'dev, ops' });
    const given = await headersOf(await clusterWith({ token: 'abc' }, { as: 'eve' }));
    expect(given).toMatchObject({ authorization: 'Bearer abc', 'impersonate-user': 'eve' });
  });
});

describe('a request', () => {
  it('goes below the path of the server, as behind Rancher', async () => {
    const cluster = await clusterWith({}, { prefix: '/k8s/clusters/c-1' });
    const answer = cluster.get(PODS);
    const exchange = await server.next();
    expect(exchange.path).toBe('/k8s/clusters/c-1/api/v1/pods');
    exchange.reply(200, {});
    await answer;
  });

  it('goes through the proxy of the kubeconfig', async () => {
    const proxy = await connectProxy();
    const cluster = await clusterWith({ token: 'abc' }, { cluster: { 'proxy-url': proxy.url } });
    expect(await headersOf(cluster)).toMatchObject({ authorization: 'Bearer abc' });
    expect(proxy.asked).toEqual([server.url.host]);
    proxy.close();
  });

  it('for a list comes in pages, and stops where it was told to', async () => {
    const cluster = await clusterWith({});
    const all = cluster.list({ ...PODS, query: { labelSelector: 'a=b' } }, (object) => [object]);
    const first = await server.next();
    expect(Object.fromEntries(first.query)).toEqual({ labelSelector: 'a=b', limit: '500' });
    first.reply(200, { metadata: { resourceVersion: '7', continue: 'next' }, items: [pod('a')] });
    const second = await server.next();
    expect(second.query.get('continue')).toBe('next');
    second.reply(200, { metadata: { resourceVersion: '7' }, items: [pod('b')] });
    expect(await all).toEqual({ items: [pod('a'), pod('b')], more: false });
    const some = cluster.list(PODS, (object) => [object], 1);
    (await server.next()).reply(200, { metadata: { resourceVersion: '7', continue: 'next' }, items: [pod('a')] });
    expect(await some).toEqual({ items: [pod('a')], more: true });
  });

  it('for what is not there gives undefined; other refusals name server, context and way out', async () => {
    const cluster = await clusterWith({});
    const missing = cluster.find(PODS);
    (await server.next()).reply(404, { message: 'not found' });
    expect(await missing).toBeUndefined();
    const refused = cluster.get(PODS).catch((error: unknown) => error);
    (await server.next()).reply(403, { message: 'pods is forbidden' });
    const error = await refused;
    expect(isControllerError(error, 'ApiRefused') && error.message).toMatch(
      /403: pods is forbidden \(server http:.*context c of/,
    );
    expect(isControllerError(error) && error.hint).toMatch(/--context/);
  });

  it('to a server that is not there says so at once', async () => {
    const cluster = await clusterWith({});
    await server.close();
    const error: unknown = await cluster.get(PODS).catch((one: unknown) => one);
    expect(isControllerError(error, 'ApiUnavailable') && error.message).toMatch(/ECONNREFUSED.*context c of .*config/);
    expect(isControllerError(error) && error.hint).toMatch(/is the cluster running/);
    server = await fakeApiServer();
  });
});

describe('a kubeconfig', () => {
  it.each([
    ['without that context', { context: 'other' }, /has no context "other"/, /It has: c/],
    ['that does not exist', { kubeconfig: '/nonexistent/config' }, /\/nonexistent\/config: ENOENT/, /--kubeconfig/],
  ])('%s', async (_, given, message, hint) => {
    await clusterWith({});
    const options = {
      kubeconfig: join(directory, 'config'),
      context: undefined,
      as: undefined,
      env: {},
      say: () => undefined,
      ...given,
    };
    const error: unknown = await openLogin(options).catch((one: unknown) => one);
    expect(isControllerError(error) && error.message).toMatch(message);
    expect(isControllerError(error) && error.hint).toMatch(hint);
  });

  it('is looked for where kubectl does', async () => {
    await clusterWith({});
    const env = { KUBECONFIG: `${directory}/missing:${directory}/config` };
    const login = await openLogin({
      kubeconfig: undefined,
      context: undefined,
      as: undefined,
      env,
      say: () => undefined,
    });
    expect(login).toMatchObject({ namespace: 'shop', place: `context c of ${directory}/config` });
    await expect(
      openLogin({
        kubeconfig: undefined,
        context: undefined,
        as: undefined,
        env: { HOME: directory },
        say: () => undefined,
      }),
    ).rejects.toThrow(/KUBECONFIG is not set.*\.kube\/config does not exist/);
  });

  it('whose other entries are broken still serves the context that is not', async () => {
    const kubeconfig = join(directory, 'broken');
    const good = { name: 'g', cluster: { server: 'https://192.0.2.1' } };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'bad', cluster: {} }, good],
        contexts: [
          { name: 'c', context: { cluster: 'g' } },
          { name: 'd', context: { cluster: 'bad' } },
        ],
        users: 7,
      }),
    );
    const open = (context: string) => openLogin({ kubeconfig, context, as: undefined, env: {}, say: () => undefined });
    expect((await open('c')).server.host).toBe('192.0.2.1');
    await expect(open('d')).rejects.toThrow(/context d of .*broken: .*server/);
  });
});

function pod(name: string): object {
  return { metadata: { name, namespace: 'shop', resourceVersion: '1' } };
}
