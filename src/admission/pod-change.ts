import { and, choose, concat, type Expression, isEmpty, join, list, literal, NO_ITEMS, not, or } from './expression.ts';
import { capturable, gateContainer, gates, hasWork, others, replaced, wanted } from './gate-rule.ts';
import { annotationsToSet, hasControlCharacters, nodeLabelsToSet, unreadableKeys } from './gateless-rule.ts';

/** What holds a pod back until it is captured: a container of its own, or the container runtime, which asks for our plugin. */
export type GateMode = 'container' | 'runtime';

/** What becomes of a pod, and of which. */
export interface PodChange {
  readonly when: Expression;
  readonly initContainers: Expression;
  /** Pairs of key and value, which come into the pod's own. */
  readonly annotations: Expression;
  readonly nodeSelector: Expression;
}

/** A pod that takes part, and that the carrier cannot make gateless without guessing what somebody meant. */
export const isObstructed = and(not(isEmpty(replaced)), or(not(isEmpty(unreadableKeys)), hasControlCharacters));

/** What is wrong with such a pod, and how to write it. */
export const obstacle = choose(
  isEmpty(unreadableKeys),
  literal(
    "an argument or variable of Istio's init container holds a control character, which no gateless pod can carry",
  ),
  concat(
    'annotation ',
    join(unreadableKeys, ', '),
    ' is not a list that the plugin istio-pod-network-controller can be added to: write it as JSON, such as ["one","two"], or leave it out',
  ),
);

const goesIn = and(hasWork, wanted, capturable);

/**
 * The gate is the first, because kubelets with kubernetes#124002 rerun only the first one after a sandbox was re-created. Without a gate
 * there is nothing in the place of Istio's init container; a gate that somebody wrote by hand stays one.
 */
export const POD_CHANGES: Readonly<Record<GateMode, PodChange>> = {
  container: {
    when: goesIn,
    initContainers: concat(choose(isEmpty(replaced), gates, list(gateContainer)), others),
    annotations: NO_ITEMS,
    nodeSelector: NO_ITEMS,
  },
  runtime: {
    when: and(goesIn, not(isObstructed)),
    initContainers: concat(choose(isEmpty(replaced), gates, NO_ITEMS), others),
    annotations: choose(isEmpty(replaced), NO_ITEMS, annotationsToSet),
    nodeSelector: choose(isEmpty(replaced), NO_ITEMS, nodeLabelsToSet),
  },
};

/** The pod would be changed, were it not for what is wrong with it. */
export const REFUSES_TO_CHANGE: Readonly<Record<GateMode, Expression>> = {
  container: literal(false),
  runtime: and(goesIn, isObstructed),
};
