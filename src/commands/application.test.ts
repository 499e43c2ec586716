import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProduct as run } from '../../test/support/product.ts';

const root = resolve(import.meta.dirname, '../..');
const examplePod = join(root, 'examples/pod.yaml');
const missingNetns = '/run/netns/there-is-no-such-netns';
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-commands-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function fileWith(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe('usage and input errors end with 1, and name what is wrong and what is allowed', () => {
  it.each([
    ['an unknown verb', ['bogus'], {}, /bogus/],
    ['an unknown flag', ['explain', '--bogus', '1'], {}, /--bogus/],
    ['a missing flag', ['explain'], {}, /Usage: --filename is required/],
    [
      'a flag that does not parse',
      ['explain', '-f', examplePod, '--ipv6', 'no'],
      {},
      /--ipv6: "no" is not allowed: one of both, istio/,
    ],
    [
      'a port that does not parse',
      ['explain', '-f', examplePod, '--envoy-port', '1e3'],
      {},
      /--envoy-port: "1e3".*from 1 to 65535/,
    ],
    [
      'a range that does not parse',
      ['explain', '-f', examplePod, '--istio-exclude-outbound-ip-ranges', '10.0.0.1'],
      {},
      /10\.0\.0\.1.*such as 10\.0\.0\.0\/8/,
    ],
    [
      'a variable that does not parse',
      ['explain', '-f', examplePod],
      { ENROLL: 'all' },
      /environment variable ENROLL: "all".*annotated, injected/,
    ],
    ['an output that does not exist', ['explain', '-f', examplePod, '-o', 'xml'], {}, /--output: "xml".*text or json/],
    [
      'an unreadable file',
      ['explain', '-f', '/nonexistent/pod.yaml'],
      {},
      /FileUnreadable: \/nonexistent\/pod\.yaml: ENOENT/,
    ],
    ['an agent without a node', ['run'], {}, /--node-name NAME is required[\s\S]*NODE_NAME/],
    [
      'a runtime that is not served',
      ['run', '--node-name', 'n', '--container-runtime', 'docker'],
      {},
      /"docker".*auto, containerd, crio/,
    ],
    ['an unknown flag of the gate', ['init', '--bogus'], {}, /--bogus/],
  ] as const)('%s', (_, argv, env, message) => {
    const { status, stderr } = run(argv, { env });
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  it.each([
    ['YAML that is none', 'a: [', /ManifestInvalid: .*bad\.yaml/],
    ['nothing with a pod', 'kind: ConfigMap\nmetadata: {name: a}', /holds no pod/],
    ['a pod of wrong types', 'kind: Pod\nmetadata: {name: a}\nspec: {containers: 5}', /pod a: spec\.containers/],
  ])('a manifest that is %s', (_, text, message) => {
    const { status, stderr } = run(['explain', '-f', fileWith('bad.yaml', text)]);
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  it('two pods for a verb that takes one, and a pod that is not captured', () => {
    const { metadata } = { metadata: '  name: a\n  annotations: {istio-pod-network-controller/initialize: "true"}' };
    const one = `kind: Pod\nmetadata:\n${metadata}\nspec: {containers: [{name: app}]}\n`;
    const two = run(['apply', '-f', fileWith('two.yaml', `${one}---\n${one}`), '--netns', missingNetns]);
    expect([two.status, two.stderr]).toEqual([1, expect.stringContaining('holds 2 pods; this verb takes exactly one')]);
    const none = run(['apply', '-f', fileWith('one.yaml', one), '--netns', missingNetns]);
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('NoSidecar')]);
  });
});

describe('explain and render', () => {
  it('say decision, reason, and the source of each value, for people and as JSON', () => {
    const text = run(['explain', '-f', examplePod]);
    expect(text.stdout).toMatch(/enroll Enrolled/);
    expect(text.stdout).toMatch(/outbound traffic goes to port +15001 +argument --envoy-port = 15001/);
    // No colour when it is not a terminal.
    expect(text.stdout).not.toContain('\u001b');
    const [first] = JSON.parse(run(['explain', '-f', examplePod, '-o', 'json']).stdout);
    expect(first).toMatchObject({
      action: 'enroll',
      policy: { outboundPort: { value: 15_001, source: { kind: 'argument' } } },
    });
  });

  it('read standard input, and judge a pod with its Namespace', () => {
    const pod = 'kind: Pod\nmetadata: {name: a, namespace: ns}\nspec: {containers: [{name: istio-proxy}]}';
    const namespace = fileWith(
      'ns.yaml',
      'kind: Namespace\nmetadata: {name: ns, annotations: {istio-pod-network-controller/initialize: "true"}}',
    );
    expect(run(['explain', '-f', '-'], { input: pod }).stdout).toContain('NotSelected');
    expect(run(['explain', '-f', '-', '-n', namespace], { input: pod }).stdout).toContain('enroll Enrolled');
    // Standard input can be read only once.
    const given =
      'kind: Namespace\nmetadata: {name: ns, annotations: {istio-pod-network-controller/initialize: "true"}}';
    expect(run(['explain', '-f', fileWith('a.yaml', pod), '-n', '-'], { input: given }).stdout).toContain('Enrolled');
    const other = run(['explain', '-f', '-', '-n', namespace], {
      input: pod.replace('namespace: ns', 'namespace: other'),
    });
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringContaining('is namespace ns, but the pod is in other'),
    ]);
  });

  it('show the way of a packet, the setting behind each rule, and its end', () => {
    const traced = (...argv: string[]) => run(['trace', '-f', examplePod, ...argv]);
    expect(traced('--from', 'app', '--to', 'tcp://10.0.0.5:443').stdout).toMatch(
      /outbound port \(argument --envoy-port\): redirected to port 15001 of the pod\n.*redirect to :15001\n +ends at: the proxy, port 15001/,
    );
    expect(traced('--from', 'app', '--to', 'tcp://10.0.0.5:443', '--uid', '1337').stdout).toMatch(
      /ends at: 10\.0\.0\.5:443, directly[^]*note: it runs under an id of the proxy/,
    );
    const [first] = JSON.parse(traced('--from', 'outside', '--to', 'tcp://pod:9080', '-o', 'json').stdout);
    expect(first).toMatchObject({ captured: true, landing: { kind: 'redirected', port: 15_006 } });
    expect(first.rules[0]).toMatchObject({ chain: 'prerouting', position: 1, reason: 'inbound traffic' });
  });

  it.each([
    ['--to', ['--from', 'app', '--to', '10.0.0.5:443'], /--to: "10\.0\.0\.5:443".*tcp:\/\/ADDRESS:PORT/],
    ['--to', ['--from', 'app', '--to', 'tcp://a.example:443'], /--to: "tcp:\/\/a\.example:443" is not allowed/],
    ['--to', ['--from', 'outside', '--to', 'tcp://10.0.0.5:443'], /the pod itself/],
    ['--from', ['--from', 'me', '--to', 'tcp://10.0.0.5:443'], /--from: "me".*app, proxy or outside/],
    ['--uid', ['--from', 'app', '--to', 'tcp://10.0.0.5:443', '--uid', 'root'], /--uid: "root".*a whole number/],
  ])('trace refuses a %s that cannot be', (_, argv, message) => {
    const { status, stderr } = run(['trace', '-f', examplePod, ...argv]);
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  it('give the same rules as text and as values, and touch nothing', () => {
    const { stdout, status } = run(['render', '-f', examplePod]);
    const [{ ruleset }] = JSON.parse(run(['render', '-f', examplePod, '-o', 'json']).stdout);
    expect(stdout).toContain(`comment "policy ${ruleset.policyHash}"`);
    expect(run(['render', '-f', examplePod, '--backend', 'iptables']).stdout).toMatch(
      /-m owner --uid-owner 1337 .*-j RETURN[^]*# ip6tables-restore/,
    );
    expect(run(['render', '-f', examplePod, '--backend', 'ebpf'])).toMatchObject({ status: 1 });
    expect(status).toBe(0);
  });
});
