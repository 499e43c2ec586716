import { join } from 'node:path';
import { data, lab, network } from './paths.ts';

/** Where the API server keeps its audit log, one JSON event a line; older parts lie beside it as `audit-<time>.log`. */
export const auditLog = join(lab.logs, 'audit.log');

/** Where `writeConfigs` puts `AUDIT_POLICY`. */
export const auditPolicyPath = join(data.config, 'audit-policy.json');

/**
 * What of each request is written: who, what and the answer's code, never a body. Left out is only what the node and the control
 * plane ask for all the time, by who they are, so that nothing a test installs can hide behind a rule.
 */
export const AUDIT_POLICY: object = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*', '/openapi/*'] },
    {
      level: 'None',
      users: ['system:apiserver', `system:node:${network.nodeName}`],
      resources: [{ group: 'coordination.k8s.io', resources: ['leases'] }],
    },
    {
      level: 'None',
      users: [
        'system:apiserver',
        'system:kube-controller-manager',
        'system:kube-proxy',
        'system:kube-scheduler',
        `system:node:${network.nodeName}`,
      ],
      verbs: ['get', 'list', 'watch'],
    },
    // The controllers and CoreDNS.
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'], verbs: ['get', 'list', 'watch'] },
    { level: 'Metadata' },
  ],
};

/** A full log is rotated; three parts are kept, 96 MB in all. Batch mode: a request never waits for the disk. */
export const AUDIT_FLAGS: readonly string[] = [
  `--audit-policy-file=${auditPolicyPath}`,
  `--audit-log-path=${auditLog}`,
  '--audit-log-mode=batch',
  '--audit-log-maxsize=32',
  '--audit-log-maxbackup=2',
];
