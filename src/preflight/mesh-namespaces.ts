import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import type { NamespaceFacts } from './facts.ts';

/** Istio injects pods of this Namespace that do not say otherwise. */
export function isInjected({ labels }: NamespaceFacts): boolean {
  if (labels['istio-injection'] !== undefined) return labels['istio-injection'] === 'enabled';
  return labels['istio.io/rev'] !== undefined;
}

/** Its pods take part unless they say otherwise. */
export function isOptedIn({ annotations }: NamespaceFacts): boolean {
  return annotations[INITIALIZE_ANNOTATION] === 'true';
}

export function isAmbient({ labels }: NamespaceFacts): boolean {
  return labels['istio.io/dataplane-mode'] === 'ambient';
}

/** What Pod Security enforces there; empty: the cluster's own default, which cannot be seen from outside. */
export function podSecurityOf({ labels }: NamespaceFacts): string {
  return labels['pod-security.kubernetes.io/enforce'] ?? '';
}
