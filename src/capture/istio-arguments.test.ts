import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIstioArguments } from './istio-arguments.ts';

function read(...argv: string[]): { values: Record<string, string>; unknown: readonly string[] } {
  const { values, unknown } = readIstioArguments(argv);
  return { values: Object.fromEntries(values), unknown };
}

describe('istio-iptables arguments', () => {
  it("reads what Istio's injector writes", () => {
    const injected =
      '-p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x "" -b * -d 15090,15021,15020 --log_output_level=default:info --run-validation --skip-rule-apply';
    const { values, unknown } = read(...injected.split(' ').map((word) => (word === '""' ? '' : word)));
    expect(unknown).toEqual([]);
    expect(values).toMatchObject({
      'envoy-port': '15001',
      'inbound-capture-port': '15006',
      'proxy-uid': '1337',
      'istio-inbound-interception-mode': 'REDIRECT',
      'istio-service-cidr': '*',
      'istio-service-exclude-cidr': '',
      'istio-inbound-ports': '*',
      'istio-local-exclude-ports': '15090,15021,15020',
      'run-validation': 'true',
    });
  });

  it('knows every way to write a flag, and lets the last one count', () => {
    expect(read('-p', '1', '-p=2', '-p3').values).toEqual({ 'envoy-port': '3' });
    expect(read('--envoy-port', '1', '--envoy-port=2').values).toEqual({ 'envoy-port': '2' });
    expect(read('--redirect-dns=false', '--drop-invalid').values).toEqual({
      'redirect-dns': 'false',
      'drop-invalid': 'true',
    });
  });

  // Each as `pilot-agent istio-iptables` was seen to read it; `-f` is of older versions.
  it.each([
    [['-np17001'], { 'dry-run': 'true', 'envoy-port': '17001' }],
    [['-np=17001'], { 'dry-run': 'true', 'envoy-port': '17001' }],
    [['-np', '17001'], { 'dry-run': 'true', 'envoy-port': '17001' }],
    [['-n=true'], { 'dry-run': 'true' }],
    [['-fn'], { 'restore-format': 'true', 'dry-run': 'true' }],
    [['-x='], { 'istio-service-exclude-cidr': '=' }],
    [['--istio-service-exclude-cidr='], { 'istio-service-exclude-cidr': '' }],
    [['-x==1'], { 'istio-service-exclude-cidr': '=1' }],
    [['-p--'], { 'envoy-port': '--' }],
  ])('reads the short flags of %j', (argv, values) => {
    expect(read(...argv)).toEqual({ values, unknown: [] });
  });

  it.each([
    [['-n=']],
    [['-ny']],
    [['-p']],
    [['-n', 'word']],
    [['--redirect-dns', 'false']],
    [['-']],
    [['---p']],
    [['--=1']],
    [['-é']],
    [['--toString=1']],
    [['-__proto__']],
    [['--log_future', '--redirect-dns']],
  ])('does not pass over %j', (argv) => {
    expect(read(...argv).unknown).not.toEqual([]);
  });

  it('takes a value that looks like a flag, as the flag library of Istio does', () => {
    expect(read('-x', '-b').values).toEqual({ 'istio-service-exclude-cidr': '-b' });
  });

  it('knows the logging and older flags, with and without a value of their own', () => {
    const older = ['-f=false', '--host-nsenter-exec', '-n', '--iptables-trace-logging', '--iptables-version', '1.8'];
    expect(read('--log_caller', 'ads', '--log_as_json', '--log_future=1', ...older).unknown).toEqual([]);
  });

  it('passes over nothing it does not know', () => {
    expect(read('--from-the-future', '-y', 'word', '--', '-p').unknown).toEqual([
      '--from-the-future',
      '-y',
      'word',
      '--',
      '-p',
    ]);
  });

  it('accounts for every word, whatever the words are', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 12 }), (argv) => {
        const { values, unknown } = readIstioArguments(argv);
        const letters = argv.reduce((sum, word) => sum + word.length, argv.length);
        expect(values.size + unknown.length).toBeLessThanOrEqual(letters);
        if (argv.length > 0) expect(values.size + unknown.length).toBeGreaterThan(0);
      }),
    );
  });
});
