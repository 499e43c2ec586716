import { INITIALIZE_ANNOTATION } from '../../enrollment/decide.ts';
import { ControllerError, isControllerError, messageOf } from '../../errors.ts';
import { parsePod } from '../../pod/parse-pod.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type GatedPod, type GateSettings, gatePod } from '../gate-pod.ts';
import { asObject, asString } from '../json.ts';
import { podPatch } from './pod-patch.ts';
import { parseReview, type ReviewRequest, reviewAnswer, type Verdict } from './review.ts';
import type { Namespaces } from './types.ts';

export interface ReviewerOptions {
  readonly settings: GateSettings;
  readonly namespaces: Pick<Namespaces, 'annotationsOf' | 'askedAfresh'>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count'>;
}

/** Body of a POST → AdmissionReview in answer to it. Throws `ApiReply` for a body that is no AdmissionReview, and for nothing else. */
export type Reviewer = (body: string) => Promise<object>;

/**
 * Reviews pods as they are created. Idempotent, without state and without side effects: the API server calls again after another
 * webhook has changed the pod, and calls for dry runs as well.
 */
export function createReviewer(options: ReviewerOptions): Reviewer {
  return async (body) => {
    const request = parseReview(body);
    const verdict = await judged(request, options);
    options.metrics.count('webhookReviews', { result: verdict.kind });
    report(request, verdict, options.log);
    return reviewAnswer(request.uid, verdict);
  };
}

/** Whatever goes wrong refuses the pod: one without a gate could start without capture. */
async function judged(request: ReviewRequest, options: ReviewerOptions): Promise<Verdict> {
  if (!request.createsPod) return { kind: 'unchanged' };
  try {
    requireReadable(request);
    const { pod, gated, obstacle } = await gatedPod(request, options);
    if (obstacle !== undefined) return { kind: 'refused', status: 400, message: `${describe(request)}: ${obstacle}` };
    if (!gated) return { kind: 'unchanged' };
    return { kind: 'gated', patch: podPatch(request.object, pod) };
  } catch (error: unknown) {
    const hint = isControllerError(error) && error.hint !== undefined ? ` (${error.hint})` : '';
    const message = `no gate could be put into ${describe(request)}: ${messageOf(error)}${hint}`;
    const passing = isControllerError(error, 'ApiUnavailable', 'ApiRefused');
    return { kind: 'refused', status: passing ? 503 : 400, message };
  }
}

async function gatedPod(request: ReviewRequest, { settings, namespaces }: ReviewerOptions): Promise<GatedPod> {
  const { namespace, object } = request;
  const known = await namespaces.annotationsOf(namespace);
  const first = gatePod(object, known, settings);
  if (
    first.gated ||
    first.obstacle !== undefined ||
    !dependsOnNamespace(object) ||
    known[INITIALIZE_ANNOTATION] === 'true'
  )
    return first;
  if (settings.enroll === 'injected') return first;
  // The API server sends such a pod only from an opted-in Namespace: our watch may be behind what another replica told it.
  const afresh = await namespaces.askedAfresh(namespace);
  return gatePod(object, afresh ?? {}, settings);
}

function dependsOnNamespace(pod: unknown): boolean {
  const own = asObject(asObject(asObject(pod).metadata).annotations)[INITIALIZE_ANNOTATION];
  return own !== 'true' && own !== 'false';
}

/** Read as strictly as the agent will: a pod that it could not read would wait for ever, and guessing is worse. */
function requireReadable({ object, namespace }: ReviewRequest): void {
  if (namespace === '') throw new ControllerError('ApiReply', 'the request names no namespace');
  const root = asObject(object);
  const metadata = asObject(root.metadata);
  // A pod of a ReplicaSet has no name yet.
  const name = asString(metadata.name) || asString(metadata.generateName) || 'unnamed';
  parsePod({ ...root, metadata: { ...metadata, name, namespace } });
}

function report(request: ReviewRequest, verdict: Verdict, log: Log): void {
  const pod = describe(request);
  if (verdict.kind === 'gated') log.info('gated', { pod, uid: request.uid });
  else if (verdict.kind === 'refused') log.warn('refused', { pod, uid: request.uid, why: verdict.message });
  else log.debug('unchanged', { pod, uid: request.uid });
}

/** `namespace/name`, or `namespace/generateName*`. */
function describe({ namespace, object }: ReviewRequest): string {
  const metadata = asObject(asObject(object).metadata);
  const name = asString(metadata.name) || `${asString(metadata.generateName)}*`;
  // Names have 253 characters at most; whoever sends more gets no longer log lines for it.
  return `${namespace}/${name}`.slice(0, 520);
}
