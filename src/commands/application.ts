import { buildApplication, buildCommand, buildRouteMap, type CommandContext, run } from '@stricli/core';
import { type Flag, flagKey } from '../config/flag.ts';
import { BACKEND_FLAGS, POLICY_FLAGS, RUN_FLAGS } from '../config/flags.ts';
import { isControllerError, messageOf } from '../errors.ts';
import type { Given, Verb } from './given.ts';
import { productVersion } from './version.ts';

/** Exit codes are a contract: 0 done, 1 usage, bad input or drift, 2 could not do it, 124 timeout. */
const EXIT_USAGE = 1;
const EXIT_FAILED = 2;

/** Runs one verb and returns the exit code. Errors are printed with their code and the way out. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const context: VerbContext = {
    process: { stdout: process.stdout, stderr: process.stderr, env: process.env, exitCode: null },
  };
  await run(application(), [...argv], context);
  const code = Number(context.process.exitCode ?? 0);
  // stricli's own codes (unknown command, bad argument) are negative: all are usage errors.
  return code < 0 ? EXIT_USAGE : code;
}

interface VerbContext extends CommandContext {
  readonly process: {
    readonly stdout: NodeJS.WriteStream;
    readonly stderr: NodeJS.WriteStream;
    readonly env: NodeJS.ProcessEnv;
    exitCode: number | string | null;
  };
}

function application() {
  const root = buildRouteMap({
    docs: { brief: 'Traffic capture for Istio sidecar pods, programmed from outside the pod' },
    routes: {
      run: command('The node agent', RUN_FLAGS, async () => (await import('./run.ts')).runVerb),
      // main.ts takes this verb before it comes here; the route is for help.
      init: command('The gate: waits in the pod until its traffic is captured; see init --help', {}, () =>
        Promise.resolve(gateElsewhere),
      ),
      explain: command(
        'Decision and effective policy of a pod, and where each value comes from',
        { ...MANIFEST, ...OUTPUT, ...POLICY_FLAGS },
        async () => (await import('./explain.ts')).explainVerb,
      ),
      render: command(
        'The rules of a pod as text; touches nothing',
        { ...MANIFEST, ...RENDERER, ...OUTPUT, ...POLICY_FLAGS },
        async () => (await import('./render.ts')).renderVerb,
      ),
      trace: command(
        'The rules a packet meets, the setting behind each, and where it ends; touches nothing',
        { ...MANIFEST, ...PACKET, ...OUTPUT, ...POLICY_FLAGS },
        async () => (await import('./trace.ts')).traceVerb,
      ),
      apply: command(
        'Programs one netns for one pod manifest, proves it, marks it',
        { ...MANIFEST, ...NETNS, ...OUTPUT, ...BACKEND_FLAGS, ...POLICY_FLAGS },
        async () => (await import('./apply.ts')).applyVerb,
      ),
      verify: command(
        'Compares the kernel with the policy of a pod; exit 1 on drift',
        { ...MANIFEST, ...NETNS, ...OUTPUT, ...POLICY_FLAGS },
        async () => (await import('./verify.ts')).verifyVerb,
      ),
      clean: command(
        'Removes our table and mark from a netns, nothing else',
        { ...NETNS, ...OUTPUT },
        async () => (await import('./clean.ts')).cleanVerb,
      ),
    },
  });
  return buildApplication(root, {
    name: 'istio-pod-network-controller',
    versionInfo: { currentVersion: productVersion() },
    scanner: { caseStyle: 'allow-kebab-for-camel' },
    documentation: { caseStyle: 'convert-camel-to-kebab', onlyRequiredInUsageLine: true },
    determineExitCode: () => EXIT_FAILED,
  });
}

type VerbFlag = Pick<Flag<unknown>, 'name' | 'placeholder' | 'brief'> &
  Partial<Pick<Flag<unknown>, 'env' | 'fallback'>>;

/** Every flag reaches the verb as a raw string; the tables of config/ resolve flag, variable and default. */
function command(brief: string, flags: Readonly<Record<string, VerbFlag>>, load: () => Promise<Verb>) {
  const entries = Object.values(flags).map((spec) => [
    flagKey(spec),
    {
      kind: 'parsed' as const,
      parse: String,
      brief: briefOf(spec),
      placeholder: spec.placeholder,
      optional: true as const,
    },
  ]);
  const names = new Set(Object.keys(flags));
  const aliases = Object.fromEntries(Object.entries(ALIASES).filter(([, key]) => names.has(key)));
  return buildCommand<Given, [], VerbContext>({
    loader: async () => guarded(await load()),
    parameters: { flags: Object.fromEntries(entries), aliases },
    docs: { brief },
  });
}

/** What a verb throws is printed once, in one form: code, message, way out. */
function guarded(verb: Verb) {
  return async function act(this: VerbContext, given: Given): Promise<void> {
    try {
      this.process.exitCode = await verb(given);
    } catch (error: unknown) {
      this.process.stderr.write(`error: ${describe(error)}\n`);
      const usage = isControllerError(error, 'Usage', 'FileUnreadable', 'ManifestInvalid');
      this.process.exitCode = usage ? EXIT_USAGE : EXIT_FAILED;
    }
  };
}

function describe(error: unknown): string {
  if (!isControllerError(error)) return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  const hint = error.hint === undefined ? '' : `\n  ${error.hint}`;
  return `${error.code}: ${error.message}${hint}`;
}

function briefOf(spec: VerbFlag): string {
  if (spec.env === undefined) return spec.brief;
  const fallback = spec.fallback === undefined ? 'required' : `default ${JSON.stringify(spec.fallback)}`;
  return `${spec.brief} (${fallback}; ${spec.env})`;
}

const gateElsewhere: Verb = () => Promise.resolve(EXIT_USAGE);

const MANIFEST = {
  filename: {
    name: 'filename',
    placeholder: 'FILE',
    brief: 'Manifest: a Pod, anything with a pod template, or a List; - is standard input',
  },
  namespaceFile: {
    name: 'namespace-file',
    placeholder: 'FILE',
    brief: 'Manifest of the Namespace; without it the namespace has no annotations',
  },
};
const NETNS = { netns: { name: 'netns', placeholder: 'PATH', brief: 'Path of the network namespace' } };
const RENDERER = { backend: { name: 'backend', placeholder: 'NAME', brief: 'nft or iptables; nft if not given' } };
const PACKET = {
  from: { name: 'from', placeholder: 'WHO', brief: 'app, proxy or outside' },
  to: {
    name: 'to',
    placeholder: 'URL',
    brief: 'tcp://ADDRESS:PORT or udp://ADDRESS:PORT; [..] around IPv6; pod for the pod itself',
  },
  uid: { name: 'uid', placeholder: 'NUMBER', brief: 'Uid of the sending process' },
  gid: { name: 'gid', placeholder: 'NUMBER', brief: 'Gid of the sending process' },
  interface: { name: 'interface', placeholder: 'NAME', brief: 'Where it leaves or arrives; lo or eth0 if not given' },
};
const OUTPUT = { output: { name: 'output', placeholder: 'FORMAT', brief: 'text or json' } };
const ALIASES = { f: 'filename', n: 'namespaceFile', o: 'output' };
