import { describe, expect, it } from 'vitest';
import { runProgram } from './process.ts';

describe('a program', () => {
  it('gets its arguments as they are, its input, and nothing of our environment', () => {
    process.env['SECRET_OF_OURS'] = '1';
    expect(runProgram({ program: 'printf', args: ['%s', '$HOME; "x"'] }).stdout).toBe('$HOME; "x"');
    expect(runProgram({ program: 'cat', args: [], input: 'in' })).toEqual({ status: 0, stdout: 'in', stderr: '' });
    const { stdout } = runProgram({ program: 'env', args: [], env: { A: 'b' } });
    expect(stdout.trim().split('\n').toSorted()).toEqual(['A=b', 'LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin']);
  });

  it('that fails is a result, one that is missing or is killed an error', () => {
    expect(runProgram({ program: 'false', args: [] }).status).toBe(1);
    expect(() => runProgram({ program: 'no-such-program', args: [] })).toThrow(
      expect.objectContaining({ code: 'ProgramMissing' }),
    );
    expect(() => runProgram({ program: 'sh', args: ['-c', 'kill -9 $$'] })).toThrow(
      expect.objectContaining({ code: 'ProgramFailed', message: 'sh failed: it was ended by SIGKILL' }),
    );
  });
});
