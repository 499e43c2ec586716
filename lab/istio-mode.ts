/**
 * How pods of the lab's mesh are captured: by Istio's own init container; by nothing that the lab installs, istiod believing in a
 * CNI plugin (`pilot.cni.enabled`); or by Istio's real CNI plugin on this node.
 */
export const ISTIO_MODES = ['istio-init', 'istio-cni', 'istio-cni-plugin'] as const;
export type IstioMode = (typeof ISTIO_MODES)[number];

/** True if this is one of `ISTIO_MODES`. */
export function isIstioMode(value: unknown): value is IstioMode {
  return ISTIO_MODES.some((mode) => mode === value);
}

/** The mode that the command line's flags ask for; the stronger one if both are given. */
export function modeOfFlags(flags: { readonly cni: boolean; readonly plugin: boolean }): IstioMode {
  if (flags.plugin) return 'istio-cni-plugin';
  return flags.cni ? 'istio-cni' : 'istio-init';
}
