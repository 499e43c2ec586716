import { POLICY_FLAGS } from '../config/flags.ts';
import type { ClusterFlag } from './cluster-command.ts';

/** Where the cluster is and who asks; named as kubectl names them. */
export const LOGIN = {
  kubeconfig: {
    name: 'kubeconfig',
    placeholder: 'FILE',
    brief: 'Kubeconfig; else those of KUBECONFIG, else ~/.kube/config, else the ServiceAccount of the pod',
  },
  context: { name: 'context', placeholder: 'NAME', brief: 'Context of the kubeconfig; its current one if not given' },
  as: { name: 'as', placeholder: 'USER', brief: 'Impersonate this user' },
  requestTimeout: {
    name: 'request-timeout',
    placeholder: 'SECONDS',
    brief: 'Until the answer to one request is there',
    fallback: '30',
  },
} satisfies Record<string, ClusterFlag>;

/** Where the chart is installed. */
const AGENT_NAMESPACE = {
  name: 'agent-namespace',
  placeholder: 'NAME',
  brief: 'Namespace of the agent',
  fallback: 'istio-pod-network-controller',
} satisfies ClusterFlag;

export const STATUS_FLAGS = {
  namespace: {
    name: 'namespace',
    letter: 'n',
    placeholder: 'NAME',
    brief: "Namespace of the pods; the context's if not given",
  },
  allNamespaces: {
    name: 'all-namespaces',
    letter: 'A',
    placeholder: '',
    brief: 'Pods of all namespaces',
    boolean: true,
  },
  node: { name: 'node', placeholder: 'NAME', brief: 'Only pods of this node' },
  selector: {
    name: 'selector',
    letter: 'l',
    placeholder: 'LABELS',
    brief: 'Only pods with these labels, as in kubectl',
  },
  all: {
    name: 'all',
    placeholder: '',
    brief: 'Also pods that do not take part and did not ask to, each with the reason',
    boolean: true,
  },
  watch: { name: 'watch', letter: 'w', placeholder: '', brief: 'After the list, rows as they change', boolean: true },
  noHeaders: { name: 'no-headers', placeholder: '', brief: 'No line of headings', boolean: true },
  output: {
    name: 'output',
    letter: 'o',
    placeholder: 'FORMAT',
    brief: 'text, wide, json or name; text if not given',
    choices: ['text', 'wide', 'json', 'name'],
  },
  agentNamespace: AGENT_NAMESPACE,
  ...LOGIN,
  ...policyFlags(),
} satisfies Record<string, ClusterFlag>;

export const PREFLIGHT_FLAGS = {
  namespace: { ...AGENT_NAMESPACE, name: 'namespace', letter: 'n', brief: 'Namespace of the install' },
  istioNamespace: {
    name: 'istio-namespace',
    placeholder: 'NAME',
    brief: 'Namespace of istiod',
    fallback: 'istio-system',
  },
  revision: {
    name: 'revision',
    placeholder: 'NAME',
    brief: 'Revision of Istio whose settings count; all that are there if not given',
  },
  output: {
    name: 'output',
    letter: 'o',
    placeholder: 'FORMAT',
    brief: 'text or json; text if not given',
    choices: ['text', 'json'],
  },
  ...LOGIN,
} satisfies Record<string, ClusterFlag>;

/** The agent's own flags decide about pods. They are read from the agent; what is given here counts instead. */
function policyFlags(): Readonly<Record<string, ClusterFlag>> {
  return Object.fromEntries(
    Object.entries(POLICY_FLAGS).map(([key, { name, placeholder, brief }]) => [
      key,
      { name, placeholder, brief: `As the agent's, if not given: ${brief}` },
    ]),
  );
}
