import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../lab/command.ts';

/** What a private API server needs of keys, as files in one folder. */
export interface Secrets {
  readonly caFile: string;
  /** PEM. */
  readonly ca: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Signs and checks the tokens of ServiceAccounts. */
  readonly serviceAccountKeyFile: string;
  /** Static tokens: one, of a cluster admin. */
  readonly tokenFile: string;
  readonly adminToken: string;
}

/** A CA, the server's certificate for 127.0.0.1, a key for tokens, one admin. P-256 as in the lab and as kubeadm can. */
export async function makeSecrets(folder: string): Promise<Secrets> {
  const at = (name: string) => join(folder, name);
  for (const name of ['ca.key', 'server.key', 'service-account.key']) await makeKey(at(name));
  const signed = ['openssl', 'req', '-x509', '-new', '-days', '2'];
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  await command([...signed, '-key', at('ca.key'), '-subj', '/CN=scale-ca', ...ca, '-out', at('ca.crt')]);
  const names = 'subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc';
  const leaf = ['-addext', names, '-addext', 'extendedKeyUsage=serverAuth', '-addext', 'basicConstraints=CA:FALSE'];
  const by = ['-CA', at('ca.crt'), '-CAkey', at('ca.key')];
  await command([...signed, ...by, '-key', at('server.key'), '-subj', '/CN=server', ...leaf, '-out', at('server.crt')]);
  const adminToken = randomBytes(24).toString('hex');
  writeFileSync(at('tokens.csv'), `${adminToken},scale-admin,scale-admin,"system:masters"\n`, { mode: 0o600 });
  return {
    caFile: at('ca.crt'),
    ca: readFileSync(at('ca.crt'), 'utf8'),
    certFile: at('server.crt'),
    keyFile: at('server.key'),
    serviceAccountKeyFile: at('service-account.key'),
    tokenFile: at('tokens.csv'),
    adminToken,
  };
}

async function makeKey(path: string): Promise<void> {
  await command(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path]);
}
