import { expect } from 'vitest';
import { type ControllerError, type ErrorCode, isControllerError } from '../../src/errors.ts';

/** The ControllerError that it fails with; throws if it does not fail, or with something else. */
export async function failureOf(act: Promise<unknown>): Promise<ControllerError> {
  const error: unknown = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isControllerError(error)) throw new Error('no ControllerError was thrown', { cause: error });
  return error;
}

/** For `toMatchObject`: an error of that code whose message matches. */
export function says(code: ErrorCode, message: RegExp) {
  return { code, message: expect.stringMatching(message) };
}
