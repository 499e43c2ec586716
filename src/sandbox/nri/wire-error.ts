import { ControllerError } from '../../errors.ts';

/** The other end broke the protocol. The connection cannot be trusted to be in step any more: it is closed, and made anew. */
export function wireError(what: string, cause?: unknown): ControllerError {
  return new ControllerError('RuntimeReply', `NRI: the runtime ${what}`, {
    hint: 'The connection is closed and made anew. Check that the NRI socket belongs to a container runtime of the supported versions.',
    cause,
  });
}
