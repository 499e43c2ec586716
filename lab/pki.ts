import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.ts';
import { data, network } from './paths.ts';

interface Certificate {
  readonly file: string;
  readonly subject: string;
  readonly altNames?: readonly string[];
}

const { nodeName, nodeIpv4, nodeIpv6, apiServiceIp } = network;

const CERTIFICATES: readonly Certificate[] = [
  {
    file: 'apiserver',
    subject: '/CN=kube-apiserver',
    altNames: [
      'IP:127.0.0.1',
      `IP:${apiServiceIp}`,
      `IP:${nodeIpv4}`,
      `IP:${nodeIpv6}`,
      'DNS:localhost',
      'DNS:kubernetes',
      'DNS:kubernetes.default',
      'DNS:kubernetes.default.svc',
      'DNS:kubernetes.default.svc.cluster.local',
    ],
  },
  { file: 'apiserver-kubelet-client', subject: '/O=system:masters/CN=apiserver-kubelet-client' },
  { file: 'admin', subject: '/O=system:masters/CN=lab-admin' },
  { file: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
  { file: 'scheduler', subject: '/CN=system:kube-scheduler' },
  { file: 'kube-proxy', subject: '/CN=system:kube-proxy' },
  { file: 'front-proxy-client', subject: '/CN=front-proxy-client' },
  {
    file: 'kubelet',
    subject: `/O=system:nodes/CN=system:node:${nodeName}`,
    altNames: [`DNS:${nodeName}`, `IP:${nodeIpv4}`, `IP:${nodeIpv6}`],
  },
];

/** One CA, the certificates of every process, the key pair for ServiceAccount tokens. Does nothing if they exist; published whole. */
export async function makePki(): Promise<void> {
  if (existsSync(data.pki)) return;
  const folder = `${data.pki}.new`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (name: string) => join(folder, name);
  await makeKey(at('ca.key'));
  await openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    at('ca.key'),
    '-subj',
    '/CN=lab-ca',
    '-days',
    '365',
    '-out',
    at('ca.crt'),
  );
  await makeKey(at('service-account.key'));
  await openssl('ec', '-in', at('service-account.key'), '-pubout', '-out', at('service-account.pub'));
  await Promise.all(CERTIFICATES.map((certificate) => makeCertificate(folder, certificate)));
  renameSync(folder, data.pki);
}

/** A kubeconfig (as JSON, which is YAML) for one of the certificates. */
export function kubeconfig(file: string): string {
  const base = join(data.pki, file);
  return kubeconfigWith(file, { 'client-certificate': `${base}.crt`, 'client-key': `${base}.key` });
}

/** A kubeconfig with other credentials: `token`, or paths as `client-certificate` and `client-key`. */
export function kubeconfigWith(name: string, credentials: Readonly<Record<string, string>>): string {
  const cluster = { server: `https://${nodeIpv4}:6443`, 'certificate-authority': join(data.pki, 'ca.crt') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name, user: credentials }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: name } }],
    'current-context': 'lab',
  });
}

/** Makes `base`.crt and `base`.key: a client certificate of the lab's CA. */
export async function makeClientCertificate(
  base: string,
  { user, groups }: { readonly user: string; readonly groups: readonly string[] },
): Promise<void> {
  const subject = [...groups.map((group) => `O=${group}`), `CN=${user}`].map((part) => `/${escaped(part)}`).join('');
  const temporary = `${base}.new`;
  await makeKey(`${base}.key`);
  await openssl('req', '-new', '-key', `${base}.key`, '-subj', subject, '-out', `${base}.csr`);
  writeFileSync(`${base}.ext`, 'keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n');
  const signer = ['-CA', join(data.pki, 'ca.crt'), '-CAkey', join(data.pki, 'ca.key'), '-days', '365'];
  const serial = ['-set_serial', `0x${randomBytes(15).toString('hex')}`];
  await openssl(
    'x509',
    '-req',
    '-in',
    `${base}.csr`,
    ...signer,
    ...serial,
    '-extfile',
    `${base}.ext`,
    '-out',
    temporary,
  );
  renameSync(temporary, `${base}.crt`);
}

/** openssl parts a subject at `/` and, in an attribute, at `+`. */
function escaped(part: string): string {
  return part.replace(/[\\/+]/g, '\\$&');
}

async function makeCertificate(folder: string, certificate: Certificate): Promise<void> {
  const base = join(folder, certificate.file);
  const extensions = [
    'keyUsage=digitalSignature',
    'extendedKeyUsage=serverAuth,clientAuth',
    ...(certificate.altNames === undefined ? [] : [`subjectAltName=${certificate.altNames.join(',')}`]),
  ];
  writeFileSync(`${base}.ext`, `${extensions.join('\n')}\n`);
  await makeKey(`${base}.key`);
  await openssl('req', '-new', '-key', `${base}.key`, '-subj', certificate.subject, '-out', `${base}.csr`);
  const signer = ['-CA', join(folder, 'ca.crt'), '-CAkey', join(folder, 'ca.key'), '-days', '365'];
  const serial = ['-set_serial', `0x${Buffer.from(certificate.file).toString('hex').slice(0, 30)}`];
  await openssl(
    'x509',
    '-req',
    '-in',
    `${base}.csr`,
    ...signer,
    ...serial,
    '-extfile',
    `${base}.ext`,
    '-out',
    `${base}.crt`,
  );
}

async function makeKey(path: string): Promise<void> {
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path);
}

async function openssl(...args: string[]): Promise<void> {
  await command(['openssl', ...args]);
}
