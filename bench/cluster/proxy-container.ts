import { container } from '../../test/support/cluster-pods.ts';

/** Whose traffic passes Envoy: without it the proxy's user would be the pod's, and with it the application's. */
const PROXY_USER = { runAsUser: 1337, runAsGroup: 1337 } as const;

/** What makes a pod a mesh pod where there is no Envoy: a container of the sidecar's name and user. */
export function proxyContainer(args: readonly string[], more: object = {}): object {
  return container('istio-proxy', args, { securityContext: PROXY_USER, ...more });
}
