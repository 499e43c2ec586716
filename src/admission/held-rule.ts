import { ARGUMENTS_ANNOTATION } from '../capture/carried-arguments.ts';
import { INITIALIZE_ANNOTATION, INJECT_KEY, OPENSHIFT_BUILD_ANNOTATIONS } from '../enrollment/decide.ts';
import { REQUIRED_PLUGINS_KEY } from '../enrollment/required-plugins.ts';
import {
  and,
  concat,
  equals,
  type Expression,
  filter,
  has,
  input,
  isEmpty,
  isIn,
  join,
  keys,
  list,
  matches,
  named,
  NO_FIELDS,
  not,
  or,
  read,
} from './expression.ts';
import { annotations, isWanted, keepsIn, labels } from './gate-rule.ts';
import { isUpdate, type Refusal } from './gated-rule.ts';
import { requiresPluginIn } from './gateless-rule.ts';

/**
 * The rule of pods that the runtime holds back. Annotations can be changed as long as a pod lives, and each sandbox of it is made with
 * those of its time: what holds a gateless pod back must be as lasting as the gate is in others.
 */

const oldAnnotations = named(
  'oldAnnotations',
  'Of the pod as it was. Asked for only in an update.',
  read(input('oldObject'), ['metadata', '?annotations'], NO_FIELDS),
);
const oldLabels = named(
  'oldLabels',
  'Of the pod as it was.',
  read(input('oldObject'), ['metadata', '?labels'], NO_FIELDS),
);

/** What lets a pod go that was held, if a scheduler puts it on a Binding: the API server copies that over what the pod has. */
const GUARDED = [ARGUMENTS_ANNOTATION, INITIALIZE_ANNOTATION, INJECT_KEY, ...OPENSHIFT_BUILD_ANNOTATIONS];
const brought = named(
  'brought',
  'Annotations of a Binding that would come over those of its pod.',
  filter(keys(annotations), 'k', (k) => or(isIn(k, list(...GUARDED)), matches(k, REQUIRED_PLUGINS_KEY))),
);

const WAY_OUT = 'Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.';

export const HELD_REFUSALS: readonly Refusal[] = [
  {
    when: and(isUpdate, not(requiresPluginIn(annotations))),
    message: concat(
      'this pod has no gate: the container runtime holds it back, by its annotations required-plugins.noderesource.dev, each of which must ' +
        'go on naming istio-pod-network-controller, as JSON. ',
      WAY_OUT,
    ),
  },
  {
    when: and(isUpdate, not(equals(argumentsIn(annotations), argumentsIn(oldAnnotations)))),
    message: concat(
      `annotation ${ARGUMENTS_ANNOTATION} must not change in a pod: its capture is made of what Istio resolved when it was created. `,
      WAY_OUT,
    ),
  },
  {
    when: and(isUpdate, takesPart(oldAnnotations, oldLabels), not(takesPart(annotations, labels))),
    message: concat(
      'a pod without a gate must not opt out after it was created: its next sandbox would start without capture. ',
      WAY_OUT,
    ),
  },
  {
    when: and(not(isUpdate), or(not(isEmpty(brought)), has(labels, INJECT_KEY))),
    message: concat(
      'a Binding must not set what decides on the capture of its pod: ',
      join(
        concat(
          brought,
          filter(keys(labels), 'k', (k) => equals(k, INJECT_KEY)),
        ),
        ', ',
      ),
      '. Leave it out in the scheduler, or switch this check off with --set policies.gate=false.',
    ),
  },
];

/** What must hold of a request for the policy to look at it at all. Written without variables. */
export const HELD_CONDITIONS: Readonly<Record<string, Expression>> = {
  'held-or-a-binding': or(
    not(isUpdate),
    requiresPluginIn(read(input('oldObject'), ['metadata', '?annotations'], NO_FIELDS)),
  ),
};

function takesPart(ofPod: Expression, labelsOfPod: Expression): Expression {
  return and(isWanted(read(ofPod, [`?${INITIALIZE_ANNOTATION}`], ''), ofPod), ...keepsIn(ofPod, labelsOfPod));
}

function argumentsIn(ofPod: Expression): Expression {
  return read(ofPod, [`?${ARGUMENTS_ANNOTATION}`], '');
}
