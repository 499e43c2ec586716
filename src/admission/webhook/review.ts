import * as v from 'valibot';
import { ControllerError } from '../../errors.ts';
import type { PatchOperation } from './pod-patch.ts';

/** What the webhook reads of an AdmissionReview request. */
export interface ReviewRequest {
  readonly uid: string;
  /** True for `CREATE` of a `v1` Pod itself: the only thing a gate is for. */
  readonly createsPod: boolean;
  /** Namespace the object is created in. The object itself need not name it yet. */
  readonly namespace: string;
  /** The object exactly as it was sent. */
  readonly object: unknown;
}

/** What is decided about one review. */
export type Verdict =
  | { readonly kind: 'gated'; readonly patch: readonly PatchOperation[] }
  | { readonly kind: 'unchanged' }
  /** `status` is the HTTP status the client of the API server gets to see. */
  | { readonly kind: 'refused'; readonly status: 400 | 503; readonly message: string };

/** A uid has 36 characters; it comes back in the answer, so no caller may make that large. */
const UID_CHARACTERS_MAX = 128;

const GroupVersion = { group: v.nullish(v.string(), ''), version: v.string() };
const ReviewShape = v.object({
  apiVersion: v.literal('admission.k8s.io/v1'),
  kind: v.literal('AdmissionReview'),
  request: v.object({
    uid: v.pipe(v.string(), v.nonEmpty(), v.maxLength(UID_CHARACTERS_MAX)),
    kind: v.object({ ...GroupVersion, kind: v.string() }),
    resource: v.object({ ...GroupVersion, resource: v.string() }),
    subResource: v.nullish(v.string(), ''),
    namespace: v.nullish(v.string(), ''),
    operation: v.string(),
    object: v.optional(v.unknown()),
  }),
});

/** The request in the body of a POST. Throws `ApiReply` naming the field. */
export function parseReview(body: string): ReviewRequest {
  const result = v.safeParse(ReviewShape, parseJson(body));
  if (!result.success) {
    const [issue] = result.issues;
    throw new ControllerError('ApiReply', `AdmissionReview: ${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
  }
  const { uid, kind, resource, subResource, namespace, operation, object } = result.output.request;
  const isPod = kind.group === '' && kind.version === 'v1' && kind.kind === 'Pod';
  const isPods = resource.group === '' && resource.resource === 'pods' && subResource === '';
  return { uid, createsPod: isPod && isPods && operation === 'CREATE', namespace, object };
}

/** The AdmissionReview that answers a request. */
export function reviewAnswer(uid: string, verdict: Verdict): object {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...response(verdict) } };
}

function response(verdict: Verdict): object {
  if (verdict.kind === 'unchanged') return { allowed: true };
  if (verdict.kind === 'refused') {
    const { status: code, message } = verdict;
    return { allowed: false, status: { code, message, reason: code === 400 ? 'BadRequest' : 'ServiceUnavailable' } };
  }
  const patch = Buffer.from(JSON.stringify(verdict.patch)).toString('base64');
  return { allowed: true, patchType: 'JSONPatch', patch };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error: unknown) {
    throw new ControllerError('ApiReply', 'AdmissionReview: the body is not JSON', { cause: error });
  }
}
