import { type Check, fail, given, listed, ok, warn } from './check.ts';
import { automaticCarrier, isOpenShift } from './checks-kubernetes.ts';
import type { InjectorFacts } from './facts.ts';
import { isOptedIn, podSecurityOf } from './mesh-namespaces.ts';

/** Sorts after every name Istio's charts give: mutating webhooks run by the name of their configuration. */
export const OUR_WEBHOOK = 'zz-istio-pod-network-controller';

export const ISTIO_CHECKS: readonly Check[] = [
  {
    id: 'istiod',
    group: 'Istio',
    means: 'Istiod is there and available. This product captures traffic for its sidecars; it installs no mesh.',
    wayOut: 'Install Istio, or name its namespace with --istio-namespace.',
    run: ({ istiods }, { istioNamespace }) =>
      given([istiods], (all) => {
        if (all.length === 0)
          return fail(
            `no istiod in namespace ${istioNamespace}`,
            'Install Istio first, or name its namespace with --istio-namespace.',
          );
        const away = all
          .filter(({ available }) => available === 0)
          .map(({ namespace, name }) => `${namespace}/${name}`);
        if (away.length > 0)
          return fail(`not available: ${listed(away)}`, 'Pods are not injected until istiod is available.');
        return ok(all.map(({ name, revision, image }) => `${name} (revision ${revision}, ${image})`).join(', '));
      }),
  },
  {
    id: 'injector-order',
    group: 'Istio',
    means: `Istio's injector runs before our webhook: mutating webhooks run in the order of their configurations' names, and ours is \`${OUR_WEBHOOK}\`.`,
    wayOut: 'Rename the configuration that sorts after ours.',
    run: (facts) =>
      given([facts.injectorWebhooks, automaticCarrier(facts)], (names, carrier) => {
        if (names.length === 0)
          return warn('no webhook injects sidecars', 'Only manifests injected by hand would take part; see examples/.');
        const after = names.filter((name) => name > OUR_WEBHOOK);
        if (after.length === 0) return ok(`before ours: ${listed(names)}`);
        const wayOut = `Rename ${listed(after)} so that it sorts before ${OUR_WEBHOOK}.`;
        // The policy is run again whenever a webhook has changed the pod.
        return carrier === 'webhook'
          ? fail(`after ours: ${listed(after)}`, wayOut)
          : warn(`after ours: ${listed(after)}`, wayOut);
      }),
  },
  {
    id: 'istio-mode',
    group: 'Istio',
    means:
      'Which init container Istio injects. Both istio-init and istio-validation are replaced by the gate; the provider `multus` makes pods ask for a network that is not there.',
    wayOut: "Set `pilot.cni.provider=default` in Istio's chart.",
    run: ({ injectors }) => given([injectors], (all) => judgeMode(all)),
  },
  {
    id: 'istio-platform',
    group: 'Istio',
    means:
      "On OpenShift `global.platform=openshift` makes Istio give proxies a uid of the namespace's range; with 1337 they are admitted only under nonroot-v2.",
    wayOut: "Set `global.platform=openshift` in Istio's chart.",
    run: (facts) =>
      given([facts.injectors, isOpenShift(facts)], (all, openShift) => {
        if (!openShift)
          return ok('proxies run as uid 1337 unless a pod says otherwise; the agent reads it from each pod');
        const wrong = all.filter(({ platform }) => platform !== 'openshift').map(({ revision }) => revision);
        if (wrong.length === 0) return ok("proxies run as the last uid of their namespace's range");
        return warn(
          `not set for OpenShift: revision ${listed(wrong)}`,
          "Set global.platform=openshift in Istio's chart; else mesh pods need the SCC nonroot-v2.",
        );
      }),
  },
  {
    id: 'istio-seccomp',
    group: 'Istio',
    means:
      "Under Pod Security `restricted` every container needs a seccomp profile; Istio's own have one only if its chart says so, or the pod sets one for all.",
    wayOut: "Set `global.proxy.seccompProfile.type=RuntimeDefault` in Istio's chart.",
    run: ({ injectors, namespaces }) =>
      given([injectors, namespaces], (all, spaces) => {
        const unset = all.filter(({ seccompProfile }) => seccompProfile === '').map(({ revision }) => revision);
        if (unset.length === 0) return ok('global.proxy.seccompProfile is set');
        const restricted = spaces
          .filter((one) => isOptedIn(one) && podSecurityOf(one) === 'restricted')
          .map(({ name }) => name);
        if (restricted.length === 0) return ok('not set, and no namespace that takes part enforces restricted');
        return warn(
          `not set, and ${listed(restricted)} enforces restricted`,
          "Set global.proxy.seccompProfile.type=RuntimeDefault in Istio's chart, or a seccompProfile in every pod's securityContext.",
        );
      }),
  },
  {
    id: 'istio-interception-mode',
    group: 'Istio',
    means:
      'The interception mode of the whole mesh. TPROXY needs a proxy that runs as root with NET_ADMIN, which Pod Security and OpenShift refuse; NONE captures nothing.',
    wayOut: 'Leave `meshConfig.defaultConfig.interceptionMode` at REDIRECT.',
    run: ({ injectors }) =>
      given([injectors], (all) => {
        const odd = all.filter(({ interceptionMode }) => interceptionMode !== 'REDIRECT');
        if (odd.length === 0) return ok('REDIRECT, unless a pod says otherwise');
        return warn(
          odd.map(({ revision, interceptionMode }) => `${interceptionMode} in revision ${revision}`).join(', '),
          'With TPROXY the proxy itself runs as root with NET_ADMIN; set meshConfig.defaultConfig.interceptionMode=REDIRECT unless you need it.',
        );
      }),
  },
  {
    id: 'istio-nftables',
    group: 'Istio',
    means:
      "Whether Istio's own tools would write nftables or iptables. It changes nothing for this product, which writes its own table.",
    wayOut: 'Nothing to do.',
    run: ({ injectors }) =>
      given([injectors], (all) =>
        ok(
          `global.nativeNftables is ${all.some(({ nativeNftables }) => nativeNftables)}; the agent writes nftables of its own either way`,
        ),
      ),
  },
];

function judgeMode(all: readonly InjectorFacts[]) {
  if (all.length === 0)
    return warn(
      'no ConfigMap istio-sidecar-injector',
      'Name the revision with --revision, or where Istio is with --istio-namespace.',
    );
  const multus = all
    .filter(({ cniEnabled, cniProvider }) => cniEnabled && cniProvider === 'multus')
    .map(({ revision }) => revision);
  if (multus.length > 0)
    return fail(
      `pilot.cni.provider is multus in revision ${listed(multus)}: pods ask for the network default/istio-cni`,
      "Set pilot.cni.provider=default in Istio's chart; istio-cni itself is not needed.",
    );
  return ok(
    all
      .map(
        ({ revision, cniEnabled }) =>
          `revision ${revision} injects ${cniEnabled ? 'istio-validation (pilot.cni.enabled)' : 'istio-init'}`,
      )
      .join(', '),
  );
}
