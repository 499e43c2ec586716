import { buildApplication, buildCommand, buildRouteMap, run } from '@stricli/core';
import { BACKEND_FLAGS, POLICY_FLAGS, RUN_FLAGS } from '../config/flags.ts';
import { WEBHOOK_FLAGS } from '../config/webhook-flags.ts';
import { clusterCommand } from './cluster-command.ts';
import { PREFLIGHT_FLAGS, STATUS_FLAGS } from './cluster-flags.ts';
import { command, EXIT_FAILED, EXIT_USAGE, guarded, type VerbContext } from './command.ts';
import { COMPLETE, completionLines, completionScript, SHELLS } from './completion.ts';
import type { Verb } from './given.ts';
import { GATE_POD_FLAGS } from './gate-pod-flags.ts';
import { MANIFEST, MANIFEST_OUTPUT, NETNS, OUTPUT, PACKET, RENDERER } from './verb-flags.ts';
import { productVersion } from './version.ts';

/** Runs one verb and returns the exit code. Errors are printed with their code and the way out. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const context: VerbContext = {
    process: { stdout: process.stdout, stderr: process.stderr, env: process.env, exitCode: null },
  };
  const [first, ...words] = argv;
  if (first === COMPLETE) {
    process.stdout.write((await completionLines(application(), words, context)).map((line) => `${line}\n`).join(''));
    return 0;
  }
  await run(application(), [...argv], context);
  const code = Number(context.process.exitCode ?? 0);
  // stricli's own codes (unknown command, bad argument) are negative: all are usage errors.
  return code < 0 ? EXIT_USAGE : code;
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
      webhook: command(
        'The admission webhook: puts the gate into mesh pods, takes istio-init out',
        WEBHOOK_FLAGS,
        async () => (await import('./webhook.ts')).webhookVerb,
      ),
      gatePod: command(
        'Puts the gate into injected pods of a manifest, takes istio-init out, prints the manifest',
        { ...MANIFEST, ...MANIFEST_OUTPUT, ...GATE_POD_FLAGS },
        async () => (await import('./gate-pod.ts')).gatePodVerb,
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
        'Compares the kernel with the policy of a pod, or, without a manifest, with its own mark; exit 1 on drift',
        { ...MANIFEST, ...NETNS, ...OUTPUT, ...POLICY_FLAGS },
        async () => (await import('./verify.ts')).verifyVerb,
      ),
      clean: command(
        'Removes our table and mark from a netns, nothing else',
        { ...NETNS, ...OUTPUT },
        async () => (await import('./clean.ts')).cleanVerb,
      ),
      status: clusterCommand(
        'One row per mesh pod of a cluster: state, reason, policy, since when, node. What was redirected or let go only the node knows',
        { flags: STATUS_FLAGS, words: { placeholder: 'POD', brief: 'Names of pods; all if none is given' } },
        async () => (await import('./status.ts')).statusVerb,
      ),
      preflight: clusterCommand(
        'Checks a cluster before the install: what is there, what is missing, what to set; exit 1 when a check fails',
        { flags: PREFLIGHT_FLAGS },
        async () => (await import('./preflight.ts')).preflightVerb,
      ),
      completion: completionCommand(),
    },
  });
  return buildApplication(root, {
    name: 'istio-pod-network-controller',
    versionInfo: { currentVersion: productVersion() },
    scanner: { caseStyle: 'allow-kebab-for-camel' },
    documentation: { caseStyle: 'convert-camel-to-kebab', onlyRequiredInUsageLine: true },
    completion: { includeAliases: false },
    determineExitCode: () => EXIT_FAILED,
  });
}

function completionCommand() {
  // oxlint-disable-next-line typescript/no-generated-empty-object-type -- the type stricli wants for a command without flags
  return buildCommand<Record<never, never>, [string], VerbContext>({
    func: guarded(async (_, shell: string) => {
      process.stdout.write(completionScript(shell));
      return 0;
    }),
    parameters: {
      positional: {
        kind: 'tuple',
        parameters: [
          {
            parse: String,
            placeholder: 'SHELL',
            brief: SHELLS.join(', '),
            proposeCompletions: (partial) => SHELLS.filter((shell) => shell.startsWith(partial)),
          },
        ],
      },
    },
    docs: { brief: 'A script that teaches your shell this command line: source <(… completion bash)' },
  });
}

const gateElsewhere: Verb = () => Promise.resolve(EXIT_USAGE);
