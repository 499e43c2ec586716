import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import {
  and,
  concat,
  equals,
  exists,
  type Expression,
  filter,
  input,
  isEmpty,
  isIn,
  join,
  keys,
  list,
  lookup,
  map,
  named,
  NO_ITEMS,
  not,
  or,
  read,
  setting,
} from './expression.ts';
import {
  annotations,
  canCapture,
  capturable,
  hasValue,
  inits,
  isOptedOut,
  namespaceAsks,
  proxies,
  usesHostNetwork,
  wanted,
} from './gate-rule.ts';
import { requiresPluginIn, selectsNodes } from './gateless-rule.ts';
import { type GateMode, isObstructed, obstacle } from './pod-change.ts';

/** A reason to refuse a pod. */
export interface Refusal {
  /** What holds of a pod that is refused. */
  readonly when: Expression;
  /** One line for people: what is wrong, and the ways out. */
  readonly message: Expression;
}

const GATE_NAME = setting('name');
/** Istio's own unprivileged init container fails until the rules are there: a slower gate, and Istio itself puts it first. */
const VALIDATION = 'istio-validation';
const MODE_ANNOTATION = 'sidecar.istio.io/interceptionMode';
export const isUpdate = equals(read(input('request'), ['operation'], ''), 'UPDATE');

const oldInits = named(
  'oldInits',
  'Of the pod as it was. Asked for only in an update, for there is no such pod before.',
  read(input('oldObject'), ['spec', '?initContainers'], NO_ITEMS),
);
const gates = named(
  'gates',
  "What holds a pod back until it is captured: the gate, or Istio's own check.",
  filter(inits, 'c', (c) => isGate(c)),
);
const keepsIstioInit = named(
  'keepsIstioInit',
  "Istio's init container is still there, and can write rules itself.",
  exists(inits, 'c', (c) => and(equals(read(c, ['name'], ''), 'istio-init'), canCapture(c))),
);
const capturesNothing = named(
  'capturesNothing',
  'With interception mode NONE, of the pod or of the mesh, Istio leaves nothing to replace, and there is nothing to wait for.',
  or(
    equals(read(annotations, [`?${MODE_ANNOTATION}`], ''), 'NONE'),
    exists(proxies, 'c', (c) =>
      exists(read(c, ['?env'], NO_ITEMS), 'e', (e) => hasValue(e, 'ISTIO_META_INTERCEPTION_MODE', 'NONE')),
    ),
  ),
);
const asks = named('asks', 'A new pod that the agent will capture.', and(not(isUpdate), wanted, capturable));
const initNames = named(
  'initNames',
  'For the messages.',
  join(
    map(inits, 'c', (c) => read(c, ['name'], '')),
    ', ',
  ),
);

/** An update that no policy needs to look at: images are all that can change in the init containers of a pod. */
const changesAnImage = exists(read(input('object'), ['spec', '?initContainers'], NO_ITEMS), 'c', (c) =>
  isChanged(c, read(input('oldObject'), ['spec', '?initContainers'], NO_ITEMS)),
);

const WAYS_OUT = `Leave the pod out by annotating it ${INITIALIZE_ANNOTATION}: "false", or switch this check off with --set policies.gate=false.`;

const heldByRuntime = named(
  'heldByRuntime',
  'The runtime creates none of its containers while our plugin is away.',
  requiresPluginIn(annotations),
);

/** A new pod that nothing of its own holds back. */
const hasNoGate = and(asks, not(keepsIstioInit), not(capturesNothing), isEmpty(gates));

const NOT_REPLACED: Refusal = {
  when: and(asks, keepsIstioInit),
  message: concat(
    'this pod keeps istio-init, which is privileged: nothing put the gate in its place. See that what does is installed and runs ' +
      '(value gate.carrier of the chart), or run gate-pod on the manifest. ',
    WAYS_OUT,
  ),
};

const NO_GATE: Refusal = {
  when: hasNoGate,
  message: concat(
    'this pod asks for capture and has no gate: its containers would start before its traffic is captured (init containers: ',
    initNames,
    '). Let Istio inject it and the gate take the place of istio-init (value gate.carrier of the chart), or run gate-pod on the manifest. ',
    WAYS_OUT,
  ),
};

const NOT_FIRST: Refusal = {
  when: and(asks, not(keepsIstioInit), not(isEmpty(gates)), not(isGate(inits, '?0'))),
  message: concat(
    'the gate must be the first init container, for of a restarted pod kubelet may run only that one again (init containers: ',
    initNames,
    '). Move it to the front, or let gate-pod do it. ',
    WAYS_OUT,
  ),
};

const OTHER_IMAGE: Refusal = {
  // Whether the pod is wanted does not count for our own gate: who may swap its image may as well change the annotation first.
  when: and(
    isUpdate,
    exists(inits, 'c', (c) =>
      and(
        or(
          equals(read(c, ['name'], ''), GATE_NAME),
          and(equals(read(c, ['name'], ''), VALIDATION), or(namespaceAsks, wanted)),
        ),
        isChanged(c, oldInits),
      ),
    ),
  ),
  message: concat(
    'the image of the gate must not change in a pod: the gate is what holds the containers back until traffic is captured. ' +
      'Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.',
  ),
};

const OBSTRUCTED: Refusal = {
  when: and(asks, isObstructed),
  message: concat('this pod cannot do without a gate: ', obstacle, '. ', WAYS_OUT),
};

const NOT_HELD: Refusal = {
  when: and(hasNoGate, not(heldByRuntime)),
  message: concat(
    'this pod asks for capture and nothing would hold it back: it has no gate (init containers: ',
    initNames,
    '), and not all that the container runtime goes by (annotations required-plugins.noderesource.dev) names istio-pod-network-controller, ' +
      'as JSON. Let Istio inject it (value gate.carrier of the chart), or run gate-pod on the manifest. ',
    WAYS_OUT,
  ),
};

const NO_SUCH_NODE: Refusal = {
  when: and(hasNoGate, heldByRuntime, not(selectsNodes)),
  message: concat(
    'this pod has no gate and may come to a node whose container runtime does not hold it back: its nodeSelector lacks ',
    join(
      map(keys(setting('nodeSelector')), 'k', (k) => concat(k, '=', lookup(setting('nodeSelector'), k, ''))),
      ', ',
    ),
    ' (value gate.nodeSelector of the chart). Let gate-pod write it. ',
    WAYS_OUT,
  ),
};

/** The first that holds is what is said. */
export const REFUSALS: Readonly<Record<GateMode, readonly Refusal[]>> = {
  container: [NOT_REPLACED, NO_GATE, NOT_FIRST, OTHER_IMAGE],
  runtime: [OBSTRUCTED, NOT_REPLACED, NOT_HELD, NO_SUCH_NODE, NOT_FIRST, OTHER_IMAGE],
};

/** What must hold of a pod for the policy to look at it at all, by the name of the condition. Written without variables. */
export const CONDITIONS: Readonly<Record<string, Expression>> = {
  'not-host-network': not(usesHostNetwork),
  'has-a-proxy': not(isEmpty(proxies)),
  'new-or-another-image': or(and(isUpdate, changesAnImage), and(not(isUpdate), not(isOptedOut))),
};

function isGate(of: Expression, ...path: readonly string[]): Expression {
  const name = path.length === 0 ? read(of, ['name'], '') : read(of, [...path, '?name'], '');
  return isIn(name, list(GATE_NAME, VALIDATION));
}

function isChanged(container: Expression, before: Expression): Expression {
  return not(
    exists(before, 'o', (o) =>
      and(
        equals(read(o, ['name'], ''), read(container, ['name'], '')),
        equals(read(o, ['?image'], ''), read(container, ['?image'], '')),
      ),
    ),
  );
}
