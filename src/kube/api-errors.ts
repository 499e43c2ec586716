import { ControllerError, isControllerError, messageOf } from '../errors.ts';

/** What was asked, as it appears in messages and metrics. */
export interface Asked {
  /** list, watch, patch, create. */
  readonly verb: string;
  readonly resource: string;
}

/** The answer of a server that did not do what was asked. `body` may be cut off. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
}

/** Long enough for any Retry-After that is meant, short enough that a wrong one cannot silence the agent. */
const RETRY_AFTER_MS_MAX = 120_000;

/** 401 and 403 are `ApiRefused`, 409, 429 and 5xx `ApiUnavailable` (the same request may pass later), all else `ApiReply`. */
export function statusError({ verb, resource }: Asked, { status, body, retryAfter }: Refusal): ControllerError {
  const refused = status === 401 || status === 403;
  const passing = status === 409 || status === 429 || status >= 500;
  const afterMs = retryAfterMs(retryAfter);
  const message = statusMessage(body);
  return new ControllerError(
    refused ? 'ApiRefused' : passing ? 'ApiUnavailable' : 'ApiReply',
    `${verb} ${resource}: the API server answered ${status}: ${message}`,
    {
      fields: { status, ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }) },
      ...(status === 403 ? { hint: hintOfForbidden(message) } : {}),
    },
  );
}

/** RBAC and admission policies both answer 403; a policy names itself in its message. */
function hintOfForbidden(message: string): string {
  const policy = /ValidatingAdmissionPolicy '([a-z0-9.-]{1,253})'/.exec(message)?.[1];
  if (policy !== undefined)
    return `The ValidatingAdmissionPolicy ${policy} refused it; docs/security.md says why one would.`;
  return "The role of the product's ServiceAccount must allow this; the chart's does.";
}

/** A request that got no answer, or one that broke off. */
export function unavailable({ verb, resource }: Asked, error: unknown): ControllerError {
  return new ControllerError('ApiUnavailable', `${verb} ${resource}: ${messageOf(error)}`, { cause: error });
}

/** HTTP status of an error that came from the server, else undefined. */
export function statusOf(error: unknown): number | undefined {
  return numberField(error, 'status');
}

/** What the server asked for with Retry-After, if it did. */
export function retryAfterMsOf(error: unknown): number | undefined {
  return numberField(error, 'retryAfterMs');
}

function numberField(error: unknown, name: string): number | undefined {
  if (!isControllerError(error)) return undefined;
  const value = error.fields[name];
  return typeof value === 'number' ? value : undefined;
}

/** Retry-After in seconds; the API server never sends a date. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^[0-9]{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, RETRY_AFTER_MS_MAX);
}

function statusMessage(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string')
      return value.message;
  } catch {
    // Not a Status object: a proxy in between, or a plain text answer.
  }
  return body.slice(0, 200);
}
