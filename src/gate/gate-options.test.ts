import { describe, expect, it } from 'vitest';
import { isControllerError } from '../errors.ts';
import { GATE_FLAGS, gateHelp, parseGateOptions } from './gate-options.ts';

const parse = (argv: readonly string[], env: Record<string, string> = {}, mounted = false) =>
  parseGateOptions(argv, env, () => mounted);

describe('parseGateOptions', () => {
  it("has the original's defaults", () => {
    expect(parse([])).toEqual({
      file: '/etc/podinfo/pod_annotations',
      annotationKey: 'pod-network-controller.istio.io/status',
      annotationValue: 'initialized',
      timeoutMs: 300_000,
      delayMs: 1_000,
      mode: 'mark',
      markFile: '/sys/class/net/lo/ifalias',
    });
  });

  it('asks for both only where the file is mounted, unless told otherwise', () => {
    expect(parse([], {}, true)?.mode).toBe('both');
    expect(parse(['--gate=mark'], {}, true)?.mode).toBe('mark');
    expect(parse(['--gate', 'annotation'])?.mode).toBe('annotation');
  });

  it('looks for the file that was named', () => {
    const asked: string[] = [];
    parseGateOptions(['--file=/a/b'], {}, (path) => asked.push(path) > 0);
    expect(asked).toEqual(['/a/b']);
  });

  it('passes over what follows --', () => {
    const inherited = ['-p', '15001', '-u', '1337', '--timeout=1', '--', '--help'];
    expect(parse(['--timeout=7', '--', ...inherited])?.timeoutMs).toBe(7_000);
    expect(parse(['--', ...inherited])?.timeoutMs).toBe(300_000);
  });

  it('takes variables, and flags before them', () => {
    const env = { TIMEOUT: '5', DELAY: '', ANNOTATION_KEY: 'example.com/k', GATE: 'both' };
    expect(parse(['--timeout=6'], env)).toMatchObject({
      timeoutMs: 6_000,
      delayMs: 1_000,
      annotationKey: 'example.com/k',
      mode: 'both',
    });
  });

  it.each(['0', '-1', '1e3', '1.5', ' 5', '5s', '007', '', '86401', '99999999999'])('refuses --timeout=%s', (value) => {
    const message = failure([`--timeout=${value}`]);
    expect(message).toContain(`--timeout: ${JSON.stringify(value)}`);
    expect(message).toContain('a whole number of seconds from 1 to 86400');
  });

  it.each([
    [['--file=relative'], {}, '--file: "relative" is not allowed: an absolute path'],
    [['--mark-file=/a/../b'], {}, '--mark-file: "/a/../b" is not allowed'],
    [['--annotation-key=a b'], {}, '--annotation-key: "a b" is not allowed'],
    [['--annotation-value='], {}, '--annotation-value: "" is not allowed'],
    [[], { GATE: 'none' }, 'environment variable GATE: "none" is not allowed: mark, annotation or both'],
    [['--gate', 'Mark'], {}, '--gate: "Mark" is not allowed: mark, annotation or both'],
  ])('refuses %j with %j', (argv, env, message) => {
    expect(failure(argv, env)).toContain(message);
  });

  it.each([[['--surprise']], [['-p', '15001']], [['surprise']], [['--timeout']]])(
    'refuses %j and lists its flags',
    (argv) => {
      const error = thrown(argv);
      expect(error.message).toContain(argv[0]);
      expect(error.hint).toContain('--annotation-value');
    },
  );

  it('explains every flag and its variable', () => {
    expect(parse(['--help'])).toBeUndefined();
    for (const { name, env } of Object.values(GATE_FLAGS)) {
      expect(gateHelp()).toContain(`--${name} `);
      expect(gateHelp()).toContain(env);
    }
  });
});

function thrown(argv: readonly string[], env: Record<string, string> = {}) {
  try {
    parse(argv, env);
  } catch (error: unknown) {
    if (isControllerError(error, 'Usage')) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function failure(argv: readonly string[], env: Record<string, string> = {}): string {
  return thrown(argv, env).message;
}
