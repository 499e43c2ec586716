import { PRODUCT, template } from './chart.ts';
import { kubectl, tryKubectl, waitFor } from './cluster.ts';

/** What in the chart each file is switched by. */
const SWITCHES = { agent: 'agent', annotations: 'annotations', 'proxy-identity': 'proxyIdentity' } as const;
export type PolicyFile = keyof typeof SWITCHES;

/** Applies policies as the chart renders them. Returns kubectl's words, one line an object. */
export async function applyPolicies(files: readonly PolicyFile[]): Promise<string> {
  return kubectl(['apply', '-f', '-'], { input: await renderPolicies(files) });
}

/** Takes policies away that the chart does not have by default. */
export async function removePolicies(files: readonly PolicyFile[]): Promise<void> {
  await kubectl(['delete', '--ignore-not-found', '-f', '-'], { input: await renderPolicies(files) });
}

async function renderPolicies(files: readonly PolicyFile[]): Promise<string> {
  const only = files.flatMap((file) => ['--show-only', `templates/validatingadmissionpolicy-${file}.yaml`]);
  return template([...only, ...files.flatMap((file) => ['--set', `policies.${SWITCHES[file]}=true`])]);
}

/** The API server learns of a policy through its own watch, a moment after it answered: waits until `kubectl` is refused by it. */
export async function waitRefused(policy: string, args: readonly string[], input?: unknown): Promise<void> {
  await waitFor(
    `${policy} acts`,
    async () => {
      const { stderr } = await tryKubectl(args, input === undefined ? {} : { input: JSON.stringify(input) });
      return stderr.includes(`'${policy}'`);
    },
    { timeoutMs: 60_000, intervalMs: 250 },
  );
}

/** Which guard spoke, by its own words; `nothing` if none of them did. */
export function whoRefused(message: string): string {
  const policy = /ValidatingAdmissionPolicy '([^']+)'/.exec(message)?.[1];
  if (policy !== undefined) return policy.replace(PRODUCT, '…');
  for (const [guard, words] of GUARDS) if (words.test(message)) return guard;
  return 'nothing';
}

const GUARDS: readonly (readonly [string, RegExp])[] = [
  ['Pod Security', /violates PodSecurity/],
  // The Node authorizer and its admission plugin; the former falls through to RBAC, which then says no.
  [
    'node restriction',
    /node "[^"]*" (can|is not|may)|no relationship found between node|can only (create|update|delete)/,
  ],
  ['RBAC', /cannot \w+ resource/],
  ['API server', /is invalid: |Forbidden: |pod updates may not/],
  ['no debugger', /ECONNREFUSED/],
  ['kernel', /\bE(PERM|ACCES|ROFS)\b|Operation not permitted|Read-only file system|Permission denied/],
];
