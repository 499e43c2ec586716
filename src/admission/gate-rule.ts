import {
  CAPTURING_CAPABILITIES,
  INITIALIZE_ANNOTATION,
  INJECT_KEY,
  INJECTED_ANNOTATION,
  OPENSHIFT_BUILD_ANNOTATIONS,
} from '../enrollment/decide.ts';
import {
  all,
  and,
  choose,
  concat,
  equals,
  exists,
  type Expression,
  filter,
  has,
  input,
  isEmpty,
  isIn,
  list,
  literal,
  named,
  NO_FIELDS,
  NO_ITEMS,
  not,
  object,
  onlyWhen,
  or,
  read,
  setting,
} from './expression.ts';

/**
 * The rule of the gate, the only place where it stands: who is wanted, who can be captured, what is replaced, what the gate looks like.
 * `gatePod` evaluates it; the chart's admission policies hold it as CEL (`node scripts/gate-policy.ts`).
 */

/** Istio's init containers that the gate takes the place of: the privileged one, and the one that only checks. */
export const REPLACED = ['istio-init', 'istio-validation'];
const GATE_NAME = setting('name');
const pod = input('object');

export const annotations = named(
  'annotations',
  'A map that may be empty.',
  read(pod, ['metadata', '?annotations'], NO_FIELDS),
);
export const labels = named('labels', 'A map that may be empty.', read(pod, ['metadata', '?labels'], NO_FIELDS));
export const inits = named('inits', 'A list that may be empty.', read(pod, ['spec', '?initContainers'], NO_ITEMS));
export const choice = named(
  'choice',
  'What the pod itself says; nothing is the empty string.',
  read(annotations, [`?${INITIALIZE_ANNOTATION}`], ''),
);

/** Whatever else stands in the pod, it is not ours. */
export const usesHostNetwork = equals(read(pod, ['spec', '?hostNetwork'], false), true);
/** The pod says no. */
export const isOptedOut = equals(read(pod, ['metadata', '?annotations', `?${INITIALIZE_ANNOTATION}`], ''), 'false');

export const namespaceAsks = named(
  'namespaceAsks',
  'The Namespace asks for all its pods.',
  equals(read(input('namespaceObject'), ['?metadata', '?annotations', `?${INITIALIZE_ANNOTATION}`], ''), 'true'),
);

export const wanted = named(
  'wanted',
  "The pod's own word counts first; a pod that says neither yes nor no follows its Namespace, and then the operator.",
  isWanted(choice, annotations),
);

export const proxies = named(
  'proxies',
  'The sidecar, as a container or as a native sidecar.',
  filter(concat(inits, read(pod, ['spec', '?containers'], NO_ITEMS)), 'c', (c) =>
    equals(read(c, ['name'], ''), setting('sidecarName')),
  ),
);

export const capturable = named(
  'capturable',
  'Pods that the agent would ignore must not wait for it. The injector reads the label before the annotation, too.',
  and(
    not(usesHostNetwork),
    ...keepsIn(annotations, labels),
    not(isEmpty(proxies)),
    all(proxies, 'c', (c) =>
      and(
        or(not(equals(read(c, ['?args', '?0'], ''), 'proxy')), equals(read(c, ['?args', '?1'], 'sidecar'), 'sidecar')),
        not(exists(read(c, ['?env'], NO_ITEMS), 'e', (e) => hasValue(e, 'DISABLE_ENVOY', 'true'))),
      ),
    ),
  ),
);

export const replaced = named(
  'replaced',
  "Istio's init containers, whose place the gate takes; the first hands down what Istio resolved for this pod.",
  filter(inits, 'c', (c) => isIn(read(c, ['name'], ''), list(...REPLACED))),
);
export const gates = named(
  'gates',
  'A gate that is there already.',
  filter(inits, 'c', (c) => equals(read(c, ['name'], ''), GATE_NAME)),
);
export const others = named(
  'others',
  'Everything else, in its order.',
  filter(inits, 'c', (c) => not(isIn(read(c, ['name'], ''), list(...REPLACED, GATE_NAME)))),
);
const resources = named(
  'resources',
  'Kubernetes writes {} where none are named.',
  read(replaced, ['?0', '?resources'], NO_FIELDS),
);
const runAsUser = read(replaced, ['?0', '?securityContext', '?runAsUser'], 0);
const runAsGroup = read(replaced, ['?0', '?securityContext', '?runAsGroup'], 0);

/** A container that passes Pod Security `restricted` and carries what Istio resolved for this pod. */
export const gateContainer = object({
  name: GATE_NAME,
  image: setting('image'),
  imagePullPolicy: setting('imagePullPolicy'),
  // The agent reads the capture policy from these arguments and variables; the gate itself ignores what follows `--`.
  args: concat(list('init'), setting('args'), list('--'), read(replaced, ['?0', '?args'], NO_ITEMS)),
  // With `valueFrom` too: the agent refuses a setting whose value it cannot know, where without it a default would be guessed.
  env: read(replaced, ['?0', '?env'], NO_ITEMS),
  // The replaced container's resources keep the pod's QoS class and quota use exactly as with Istio alone.
  resources: choose(or(has(resources, 'requests'), has(resources, 'limits')), resources, setting('resources')),
  securityContext: object({
    // OpenShift's SCC refuses a container without the uid it would have set; root is never kept, the image's own user holds.
    runAsUser: onlyWhen(not(equals(runAsUser, 0)), runAsUser),
    runAsGroup: onlyWhen(not(equals(runAsGroup, 0)), runAsGroup),
    allowPrivilegeEscalation: literal(false),
    capabilities: object({ drop: list('ALL') }),
    privileged: literal(false),
    readOnlyRootFilesystem: literal(true),
    runAsNonRoot: literal(true),
    seccompProfile: object({ type: literal('RuntimeDefault') }),
  }),
  // Makes the reason of a gate that gave up visible in `kubectl describe pod`.
  terminationMessagePolicy: literal('FallbackToLogsOnError'),
});

/** Something of Istio's is to be replaced, or a gate is not the first. */
export const hasWork = named(
  'hasWork',
  'Istio left something to replace, or a gate is there and not the first.',
  or(not(isEmpty(replaced)), and(not(isEmpty(gates)), not(equals(read(inits, ['?0', '?name'], ''), GATE_NAME)))),
);

/** By the word of a pod, which is one of its annotations, and whoever else may ask. */
export function isWanted(word: Expression, ofPod: Expression): Expression {
  return or(
    equals(word, 'true'),
    and(
      not(equals(word, 'false')),
      or(namespaceAsks, and(equals(setting('enroll'), 'injected'), has(ofPod, INJECTED_ANNOTATION))),
    ),
  );
}

/** Nothing in annotations and labels makes the agent ignore the pod. */
export function keepsIn(ofPod: Expression, labelsOfPod: Expression): readonly Expression[] {
  return [
    ...OPENSHIFT_BUILD_ANNOTATIONS.map((key) => not(has(ofPod, key))),
    not(equals(read(labelsOfPod, [`?${INJECT_KEY}`], read(ofPod, [`?${INJECT_KEY}`], '')), 'false')),
  ];
}

/** An environment variable with that name and literal value. */
export function hasValue(variable: Expression, name: string, value: string): Expression {
  return and(equals(read(variable, ['name'], ''), name), equals(read(variable, ['?value'], ''), value));
}

/** The init container has what it takes to write rules itself. */
export function canCapture(container: Expression): Expression {
  return or(
    equals(read(container, ['?securityContext', '?privileged'], false), true),
    exists(read(container, ['?securityContext', '?capabilities', '?add'], NO_ITEMS), 'x', (x) =>
      isIn(x, list(...CAPTURING_CAPABILITIES)),
    ),
  );
}
