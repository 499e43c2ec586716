import { describe, expect, it } from 'vitest';
import { mergeKubeconfig } from './merge.ts';

const A = `
current-context: a
clusters: [{name: one, cluster: {server: 'https://a.example', certificate-authority: ca.crt}}]
contexts: [{name: a, context: {cluster: one, user: u}}]
users:
- name: u
  user: {client-certificate: c.crt, client-key: /keys/k, exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/login, env: [{name: X, value: '1'}]}}
`;
const B = `
current-context: b
clusters: [{name: one, cluster: {server: 'https://b.example'}}, {name: plain, cluster: {server: 'http://192.0.2.1:8001'}}]
contexts: [{name: b, context: {cluster: plain, user: t}}]
users: [{name: t, user: {tokenFile: token, token: old}}]
`;
const FILES = [
  { path: '/a/config', text: A },
  { path: '/b/config', text: B },
];

function merged(env: Record<string, string> = {}) {
  const { clusters, contexts, users, currentContext } = mergeKubeconfig(FILES, env);
  const values = (list: typeof clusters) => Object.fromEntries(list.map(({ name, value }) => [name, value]));
  return { clusters: values(clusters), contexts: values(contexts), users: values(users), currentContext };
}

describe('kubeconfig files', () => {
  it('are merged as by kubectl: of two entries with one name the first counts', () => {
    const { clusters, contexts, currentContext } = merged();
    expect(currentContext).toBe('a');
    expect(clusters['one']).toMatchObject({ server: 'https://a.example' });
    expect(Object.keys(contexts)).toEqual(['a', 'b']);
  });

  it('mean their relative paths from their own folder', () => {
    const { clusters, users } = merged();
    expect(clusters['one']).toMatchObject({ 'certificate-authority': '/a/ca.crt' });
    expect(users['u']).toMatchObject({
      'client-certificate': '/a/c.crt',
      'client-key': '/keys/k',
      exec: { command: '/a/bin/login' },
    });
    expect(users['t']).toEqual({ 'auth-provider': { name: 'tokenFile', config: { tokenFile: '/b/token' } } });
  });

  it('tell login plugins what they are asked, and leave what is set for them', () => {
    const { exec } = Object(merged().users['u']);
    expect(exec.env.map(({ name }: { name: string }) => name)).toEqual(['KUBERNETES_EXEC_INFO', 'X']);
    expect(JSON.parse(exec.env[0].value)).toMatchObject({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
    });
  });

  it('take the proxy of the environment where they name none, and plain HTTP as it is', () => {
    const { clusters } = merged({ HTTPS_PROXY: 'http://proxy.example' });
    expect(clusters['one']).toMatchObject({ 'proxy-url': 'http://proxy.example' });
    expect(clusters['plain']).toMatchObject({ 'insecure-skip-tls-verify': true });
    expect(clusters['plain']).not.toHaveProperty('proxy-url');
  });

  it('that are none are named', () => {
    expect(() => mergeKubeconfig([{ path: '/a/config', text: 'a: [' }], {})).toThrow(
      /^\/a\/config: is not a kubeconfig/,
    );
    expect(mergeKubeconfig([{ path: '/a/config', text: '7' }], {})).toMatchObject({
      contexts: [],
      currentContext: undefined,
    });
  });
});
