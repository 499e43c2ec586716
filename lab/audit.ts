import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { auditLog } from './audit-policy.ts';

/** One request that the API server answered, as its audit log has it. */
export interface AuditedRequest {
  /** When it came, in ms since 1970. */
  readonly timeMs: number;
  /** Who asked: `system:serviceaccount:NAMESPACE:NAME`, or a certificate's common name. */
  readonly user: string;
  /** get, list, watch, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  /** API group, empty for the core one. */
  readonly group: string;
  /** Plural, as in RBAC; empty for a request that is not about a resource. */
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** With the query: `/api/v1/pods?fieldSelector=spec.nodeName%3Dlab&watch=true`. */
  readonly uri: string;
  /** HTTP status. */
  readonly code: number;
  /** ResponseStarted: a watch that was still open when the log was read. */
  readonly stage: 'ResponseComplete' | 'ResponseStarted';
  /** What admission and authorization noted, `authorization.k8s.io/decision` → `forbid`. */
  readonly annotations: Readonly<Record<string, unknown>>;
}

/** Which requests `auditedRequests` returns. */
export interface AuditQuery {
  /** Only of this user; of all if left out. */
  readonly user?: string;
  /** Only those that came at or after this time, in ms since 1970. */
  readonly sinceMs?: number;
}

/**
 * The requests of a user, oldest first, each one once. Read from the log as it is now: a request shows up some milliseconds after its answer.
 * Not in the log: health checks, and what the control plane, kubelet and ServiceAccounts of kube-system read (`AUDIT_POLICY`).
 */
export function auditedRequests(query: AuditQuery = {}): AuditedRequest[] {
  const requests = new Map<string, AuditedRequest>();
  for (const line of auditLines()) {
    // The cheap look first: a log of many megabytes is mostly of others.
    if (query.user !== undefined && !line.includes(JSON.stringify(query.user))) continue;
    const event = parseEvent(line);
    if (event === undefined || (query.user !== undefined && event.request.user !== query.user)) continue;
    if (event.request.timeMs >= (query.sinceMs ?? 0)) requests.set(event.id, event.request);
  }
  return [...requests.values()].sort((a, b) => a.timeMs - b.timeMs);
}

/** One line of the log; undefined if it is not a whole event (the API server may be writing it), or not about an answer. */
export function parseEvent(line: string): { readonly id: string; readonly request: AuditedRequest } | undefined {
  const event = parseJson(line);
  const stage = textAt(event, 'stage');
  const id = textAt(event, 'auditID');
  const timeMs = Date.parse(textAt(event, 'requestReceivedTimestamp'));
  if (id === '' || Number.isNaN(timeMs)) return undefined;
  if (stage !== 'ResponseComplete' && stage !== 'ResponseStarted') return undefined;
  const object = at(event, 'objectRef');
  const request = {
    timeMs,
    // Whoever is impersonated is who the request was judged as.
    user: textAt(at(event, 'impersonatedUser'), 'username') || textAt(at(event, 'user'), 'username'),
    verb: textAt(event, 'verb'),
    group: textAt(object, 'apiGroup'),
    resource: textAt(object, 'resource'),
    subresource: textAt(object, 'subresource'),
    namespace: textAt(object, 'namespace'),
    name: textAt(object, 'name'),
    uri: textAt(event, 'requestURI'),
    code: Number(at(at(event, 'responseStatus'), 'code') ?? 0),
    stage,
    annotations: recordOf(at(event, 'annotations')),
  } as const;
  return { id, request };
}

/** The rotated parts first; their names hold the time, so they sort. */
function auditLines(): string[] {
  const folder = dirname(auditLog);
  const parts = readdirSync(folder).filter((name) => /^audit-.*\.log$/.test(name));
  return [...parts.sort(), basename(auditLog)].flatMap((name) => readOrEmpty(join(folder, name)).split('\n'));
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textAt(value: unknown, name: string): string {
  const found = at(value, name);
  return typeof found === 'string' ? found : '';
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
