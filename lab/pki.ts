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
  const at = (name: string) => join(data.pki, name);
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server: `https://${nodeIpv4}:6443`, 'certificate-authority': at('ca.crt') } }],
    users: [{ name: file, user: { 'client-certificate': at(`${file}.crt`), 'client-key': at(`${file}.key`) } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: file } }],
    'current-context': 'lab',
  });
}

/** Makes `base`.crt and `base`.key: a client certificate of the lab's CA, for a subject such as `/O=GROUP/CN=USER`. */
export function makeClientCertificate(base: string, subject: string): Promise<void> {
  const extensions = ['keyUsage=digitalSignature', 'extendedKeyUsage=clientAuth'];
  return issue(base, { caFolder: data.pki, subject, extensions, serial: randomBytes(15) });
}

function makeCertificate(folder: string, certificate: Certificate): Promise<void> {
  const extensions = [
    'keyUsage=digitalSignature',
    'extendedKeyUsage=serverAuth,clientAuth',
    ...(certificate.altNames === undefined ? [] : [`subjectAltName=${certificate.altNames.join(',')}`]),
  ];
  const serial = Buffer.from(certificate.file).subarray(0, 15);
  return issue(join(folder, certificate.file), { caFolder: folder, subject: certificate.subject, extensions, serial });
}

async function issue(
  base: string,
  wanted: {
    readonly caFolder: string;
    readonly subject: string;
    readonly extensions: readonly string[];
    readonly serial: Buffer;
  },
): Promise<void> {
  const ca = (suffix: string) => join(wanted.caFolder, `ca.${suffix}`);
  writeFileSync(`${base}.ext`, `${wanted.extensions.join('\n')}\n`);
  await makeKey(`${base}.key`);
  await openssl('req', '-new', '-key', `${base}.key`, '-subj', wanted.subject, '-out', `${base}.csr`);
  const signer = ['-CA', ca('crt'), '-CAkey', ca('key'), '-days', '365'];
  const serial = ['-set_serial', `0x${wanted.serial.toString('hex')}`];
  const files = ['-in', `${base}.csr`, '-extfile', `${base}.ext`, '-out', `${base}.crt`];
  await openssl('x509', '-req', ...signer, ...serial, ...files);
}

async function makeKey(path: string): Promise<void> {
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path);
}

async function openssl(...args: string[]): Promise<void> {
  await command(['openssl', ...args]);
}
