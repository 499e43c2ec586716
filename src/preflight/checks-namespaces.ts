import { type Check, counted, fail, given, listed, ok, warn } from './check.ts';
import { isInjected, isOptedIn, podSecurityOf } from './mesh-namespaces.ts';

export const NAMESPACE_CHECKS: readonly Check[] = [
  {
    id: 'install-namespace',
    group: 'Namespaces',
    means:
      'The namespace of the install lets the agent in: Pod Security `privileged`, for it needs SYS_ADMIN, NET_ADMIN and hostPath volumes; and Istio does not inject it.',
    wayOut: '`kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged --overwrite`',
    run: ({ namespaces }, { namespace }) =>
      given([namespaces], (all) => {
        const found = all.find(({ name }) => name === namespace);
        if (found === undefined) return ok(`${namespace} does not exist yet`);
        const level = podSecurityOf(found);
        if (level !== '' && level !== 'privileged')
          return fail(
            `${namespace} enforces Pod Security ${level}, which refuses the agent`,
            `kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged --overwrite`,
          );
        if (isInjected(found))
          return warn(
            `Istio injects pods of ${namespace}`,
            `kubectl label namespace ${namespace} istio-injection- istio.io/rev-; the agent must not wait for itself.`,
          );
        return ok(
          level === ''
            ? `${namespace} is there, without a Pod Security label`
            : `${namespace} is there, Pod Security ${level}`,
        );
      }),
  },
  {
    id: 'mesh-namespaces',
    group: 'Namespaces',
    means:
      'Which namespaces Istio injects, and which of them take part. Where Istio does not inject, opting in has no effect but a warning.',
    wayOut: '`kubectl annotate namespace NAME istio-pod-network-controller/initialize=true`',
    run: ({ namespaces }) =>
      given([namespaces], (all) => {
        const injected = all.filter(isInjected);
        const optedIn = all.filter(isOptedIn);
        const uninjected = optedIn.filter((one) => !isInjected(one)).map(({ name }) => name);
        if (uninjected.length > 0)
          return warn(
            `opted in, but Istio injects only pods that ask: ${listed(uninjected)}`,
            'kubectl label namespace NAME istio-injection=enabled',
          );
        const names =
          optedIn.length === 0
            ? 'none of them is opted in yet'
            : `opted in: ${listed(optedIn.map(({ name }) => name))}`;
        return ok(`${counted(injected.length, 'namespace')} injected; ${names}`);
      }),
  },
  {
    id: 'pod-security',
    group: 'Namespaces',
    means: 'Namespaces where Pod Security refuses the istio-init that Istio injects. Opting them in takes it out.',
    wayOut: 'Opt them in; then `pod-security.kubernetes.io/enforce=restricted` can stand.',
    run: ({ namespaces, injectors }) =>
      given([namespaces, injectors], (spaces, all) => {
        const strict = spaces.filter(
          (one) => isInjected(one) && ['baseline', 'restricted'].includes(podSecurityOf(one)),
        );
        const refused = strict.filter((one) => !isOptedIn(one)).map(({ name }) => name);
        if (refused.length > 0 && all.some(({ cniEnabled }) => !cniEnabled))
          return warn(
            `istio-init is refused in ${listed(refused)}`,
            `kubectl annotate namespace ${refused[0]} istio-pod-network-controller/initialize=true, after the install.`,
          );
        const open = spaces.filter((one) => isOptedIn(one) && !['baseline', 'restricted'].includes(podSecurityOf(one)));
        if (strict.length === 0 && open.length === 0) return ok('no mesh namespace enforces baseline or restricted');
        const could = open.length === 0 ? '' : `; could now: ${listed(open.map(({ name }) => name))}`;
        return ok(`enforced in ${listed(strict.map(({ name }) => name)) || 'no mesh namespace'}${could}`);
      }),
  },
];
