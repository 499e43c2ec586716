import { isControllerError } from '../errors.ts';
import { statusOf } from './api-errors.ts';
import type { Transport } from './request.ts';
import type { PatchTarget } from './types.ts';

const FIELD_MANAGER = 'istio-pod-network-controller';

/** A merge patch of annotations and nothing else. `gone`: no such object, or another one has its name. */
export async function patchAnnotations(
  transport: Transport,
  { path, uid, annotations }: PatchTarget,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<'patched' | 'gone'> {
  // The uid is a precondition: for a pod of the same name made anew the API server refuses the whole patch.
  const body = { contentType: 'application/merge-patch+json', json: { metadata: { uid, annotations } } };
  const query = { fieldManager: FIELD_MANAGER };
  try {
    await transport.write({ method: 'PATCH', verb: 'patch', resource: 'pods', path, query, body, timeoutMs }, signal);
    return 'patched';
  } catch (error: unknown) {
    if (saysGone(error)) return 'gone';
    throw error;
  }
}

/** Another uid is a 422 about an immutable field, or where a precondition is checked first a 409. Any other 409 is a write that lost a race, and may be repeated. */
function saysGone(error: unknown): boolean {
  if (!isControllerError(error)) return false;
  const status = statusOf(error);
  if (status === 422) return error.message.includes('metadata.uid: Invalid value');
  if (status === 409) return /uid mismatch|UID in precondition/.test(error.message);
  return status === 404;
}
