import { auditedRequests } from '../../lab/audit.ts';
import { at, kubectlJson, listAt, textAt } from './cluster.ts';

/** A right, as text that can be compared: `patch pods/status`, `create events.events.k8s.io`, `get secrets in NAMESPACE named NAME`. */
export type Right = string;

export interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** Everything RBAC grants to a ServiceAccount by name, through Roles and ClusterRoles. */
export async function grantedTo(account: Account): Promise<readonly Right[]> {
  const rights: Right[] = [];
  for (const kind of ['clusterrolebindings', 'rolebindings'] as const) {
    for (const binding of listAt(await kubectlJson(['get', kind, '-A']), 'items')) {
      if (!listAt(binding, 'subjects').some((subject) => isAccount(subject, account))) continue;
      const where = textAt(binding, 'metadata', 'namespace');
      rights.push(...(await rulesOf(binding, where)).flatMap((rule) => rightsOf(rule, where)));
    }
  }
  return [...new Set(rights)].sort();
}

/** One request of the account, as the right it needed, and how it was answered. */
export interface Used {
  readonly right: Right;
  readonly code: number;
}

/** What the account asked for since then. A right that is granted by name or in a Namespace is told as such in `granted`. */
export function usedBy(account: Account, sinceMs: number, granted: readonly Right[]): readonly Used[] {
  const user = `system:serviceaccount:${account.namespace}:${account.name}`;
  const requests = auditedRequests({ user, sinceMs }).filter(({ resource }) => resource !== '');
  return requests.map(({ verb, group, resource, subresource, namespace, name, code }) => {
    const what = `${verb} ${resourceText(group, subresource === '' ? resource : `${resource}/${subresource}`)}`;
    const narrower = [
      `${what} in ${namespace} named ${name}`,
      `${what} named ${name}`,
      `${what} in ${namespace}`,
      what,
    ];
    return { right: narrower.find((right) => granted.includes(right)) ?? what, code };
  });
}

/** For people: each right, and how often it was used. */
export function rightsTable(who: string, granted: readonly Right[], used: readonly Used[]): string {
  const rows = granted.map((right) => {
    const requests = used.filter((request) => request.right === right);
    return `${right.padEnd(60)} ${String(requests.length).padStart(5)} requests`;
  });
  return [`granted to ${who}`, ...rows].join('\n');
}

function isAccount(subject: unknown, { namespace, name }: Account): boolean {
  const kind = textAt(subject, 'kind');
  return kind === 'ServiceAccount' && textAt(subject, 'name') === name && textAt(subject, 'namespace') === namespace;
}

async function rulesOf(binding: unknown, namespace: string): Promise<readonly unknown[]> {
  const [kind, name] = [textAt(binding, 'roleRef', 'kind'), textAt(binding, 'roleRef', 'name')];
  const scope = kind === 'Role' ? ['-n', namespace] : [];
  return listAt(await kubectlJson(['get', kind.toLowerCase(), name, ...scope]), 'rules');
}

function rightsOf(rule: unknown, namespace: string): readonly Right[] {
  const texts = (field: string): readonly string[] => listAt(rule, field).map(String);
  const names = at(rule, 'resourceNames') === undefined ? [''] : texts('resourceNames');
  const scope = namespace === '' ? '' : ` in ${namespace}`;
  return texts('apiGroups').flatMap((group) =>
    texts('resources').flatMap((resource) =>
      texts('verbs').flatMap((verb) =>
        names.map((name) => `${verb} ${resourceText(group, resource)}${scope}${name === '' ? '' : ` named ${name}`}`),
      ),
    ),
  );
}

function resourceText(group: string, resource: string): string {
  const [plural = '', ...sub] = resource.split('/');
  const qualified = group === '' ? plural : `${plural}.${group}`;
  return [qualified, ...sub].join('/');
}
