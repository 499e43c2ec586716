import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ControllerError, errnoOf, isControllerError, messageOf } from './errors.ts';

describe('errors', () => {
  it('are told apart by code', () => {
    const error = new ControllerError('NetnsMissing', 'gone', {
      hint: 'look again',
      fields: { netns: '/x' },
      cause: new Error('first'),
    });
    expect(isControllerError(error, 'NetnsIsHost')).toBe(false);
    expect(isControllerError(error, 'NetnsIsHost', 'NetnsMissing')).toBe(true);
    expect([error.hint, error.fields['netns'], messageOf(error.cause)]).toEqual(['look again', '/x', 'first']);
  });

  it('have an errno only when they come from the system', () => {
    const system = (() => {
      try {
        return readFileSync('/nonexistent/file');
      } catch (error: unknown) {
        return error;
      }
    })();
    expect(errnoOf(system)).toBe('ENOENT');
    expect(errnoOf(new ControllerError('NetnsIsHost', 'x'))).toBeUndefined();
    expect(errnoOf('ENOENT')).toBeUndefined();
  });

  it('give a message whatever was thrown', () => {
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)]).toEqual(['a', 'b', 'undefined']);
  });
});
