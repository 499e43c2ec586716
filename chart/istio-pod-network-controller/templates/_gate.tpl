{{/* Generated from src/admission/*-rule.ts and pod-change.ts by node scripts/gate-policy.ts: change it there. */}}

{{/* Any value as CEL. */}}
{{- define "gate.cel.value" -}}
{{- if kindIs "map" . -}}
dyn({ {{- range $key, $value := . }}{{ $key | toJson }}: {{ include "gate.cel.value" $value }}, {{ end -}} })
{{- else if kindIs "slice" . -}}
dyn([ {{- range . }}{{ include "gate.cel.value" . }}, {{ end -}} ])
{{- else -}}
dyn({{ . | toJson }})
{{- end -}}
{{- end }}

{{- define "gate.matchConditions" -}}
- name: not-host-network
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true
- name: not-opted-out
  expression: |-
    object.metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') != 'false'
{{- end }}

{{- define "gate.mutation.container.variables" -}}
# A list that may be empty.
- name: inits
  expression: |-
    object.spec.?initContainers.orValue([])
# Istio's init containers, whose place the gate takes; the first hands down what Istio resolved for this pod.
- name: replaced
  expression: |-
    variables.inits.filter(c, c.name in ['istio-init', 'istio-validation'])
# A gate that is there already.
- name: gates
  expression: |-
    variables.inits.filter(c, c.name == '{{ .Values.gate.containerName }}')
# Istio left something to replace, or a gate is there and not the first.
- name: hasWork
  expression: |-
    variables.replaced != [] ||
      (variables.gates != [] && variables.inits[?0].?name.orValue('') != '{{ .Values.gate.containerName }}')
# A map that may be empty.
- name: annotations
  expression: |-
    object.metadata.?annotations.orValue({})
# What the pod itself says; nothing is the empty string.
- name: choice
  expression: |-
    variables.annotations[?'istio-pod-network-controller/initialize'].orValue('')
# The Namespace asks for all its pods.
- name: namespaceAsks
  expression: |-
    namespaceObject.?metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true'
# The pod's own word counts first; a pod that says neither yes nor no follows its Namespace, and then the operator.
- name: wanted
  expression: |-
    variables.choice == 'true' ||
      (
        variables.choice != 'false' &&
          (
            variables.namespaceAsks ||
              ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.annotations)
          )
      )
# A map that may be empty.
- name: labels
  expression: |-
    object.metadata.?labels.orValue({})
# The sidecar, as a container or as a native sidecar.
- name: proxies
  expression: |-
    (variables.inits + object.spec.?containers.orValue([])).filter(c, c.name == '{{ .Values.agent.sidecarName }}')
# Pods that the agent would ignore must not wait for it. The injector reads the label before the annotation, too.
- name: capturable
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true &&
      !('openshift.io/deployer-pod-for.name' in variables.annotations) &&
      !('openshift.io/build.name' in variables.annotations) &&
      variables.labels[?'sidecar.istio.io/inject'].orValue(variables.annotations[?'sidecar.istio.io/inject'].orValue('')) != 'false' &&
      variables.proxies != [] &&
      variables.proxies.all(
        c,
        (c.?args[?0].orValue('') != 'proxy' || c.?args[?1].orValue('sidecar') == 'sidecar') &&
          !c.?env.orValue([]).exists(e, e.name == 'DISABLE_ENVOY' && e.?value.orValue('') == 'true')
      )
# Kubernetes writes {} where none are named.
- name: resources
  expression: |-
    variables.replaced[?0].?resources.orValue({})
# Everything else, in its order.
- name: others
  expression: |-
    variables.inits.filter(c, !(c.name in ['istio-init', 'istio-validation', '{{ .Values.gate.containerName }}']))
{{- end }}

{{- define "gate.mutation.container" -}}
variables.hasWork && variables.wanted && variables.capturable ? [
  JSONPatch{
    op: 'replace',
    path: '/spec/initContainers',
    value: (
      (variables.replaced == [])
        ? dyn(variables.gates)
        : dyn(
          [
            {
              'name': dyn('{{ .Values.gate.containerName }}'),
              'image': dyn({{ include "image" . | toJson }}),
              'imagePullPolicy': dyn('{{ .Values.image.pullPolicy }}'),
              'args': dyn(
                ['init'] +
                  {{ concat (list (printf "--timeout=%v" .Values.gate.timeoutSeconds)) .Values.gate.extraArgs | toJson }} +
                  ['--'] +
                  variables.replaced[?0].?args.orValue([])
              ),
              'env': dyn(variables.replaced[?0].?env.orValue([])),
              'resources': dyn(
                ('requests' in variables.resources || 'limits' in variables.resources)
                  ? dyn(variables.resources)
                  : dyn({{ include "gate.cel.value" .Values.gate.resources }})
              ),
              'securityContext': dyn(
                {
                  'runAsUser': (variables.replaced[?0].?securityContext.?runAsUser.orValue(0) != 0)
                    ? dyn(variables.replaced[?0].?securityContext.?runAsUser.orValue(0))
                    : dyn(null),
                  'runAsGroup': (variables.replaced[?0].?securityContext.?runAsGroup.orValue(0) != 0)
                    ? dyn(variables.replaced[?0].?securityContext.?runAsGroup.orValue(0))
                    : dyn(null),
                  'allowPrivilegeEscalation': dyn(false),
                  'capabilities': dyn({'drop': dyn(['ALL'])}),
                  'privileged': dyn(false),
                  'readOnlyRootFilesystem': dyn(true),
                  'runAsNonRoot': dyn(true),
                  'seccompProfile': dyn({'type': dyn('RuntimeDefault')})
                }
              ),
              'terminationMessagePolicy': dyn('FallbackToLogsOnError')
            }
          ]
        )
    ) +
      variables.others
  }
] : []
{{- end }}

{{- define "gate.mutation.runtime.variables" -}}
# A list that may be empty.
- name: inits
  expression: |-
    object.spec.?initContainers.orValue([])
# Istio's init containers, whose place the gate takes; the first hands down what Istio resolved for this pod.
- name: replaced
  expression: |-
    variables.inits.filter(c, c.name in ['istio-init', 'istio-validation'])
# A gate that is there already.
- name: gates
  expression: |-
    variables.inits.filter(c, c.name == '{{ .Values.gate.containerName }}')
# Istio left something to replace, or a gate is there and not the first.
- name: hasWork
  expression: |-
    variables.replaced != [] ||
      (variables.gates != [] && variables.inits[?0].?name.orValue('') != '{{ .Values.gate.containerName }}')
# A map that may be empty.
- name: annotations
  expression: |-
    object.metadata.?annotations.orValue({})
# What the pod itself says; nothing is the empty string.
- name: choice
  expression: |-
    variables.annotations[?'istio-pod-network-controller/initialize'].orValue('')
# The Namespace asks for all its pods.
- name: namespaceAsks
  expression: |-
    namespaceObject.?metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true'
# The pod's own word counts first; a pod that says neither yes nor no follows its Namespace, and then the operator.
- name: wanted
  expression: |-
    variables.choice == 'true' ||
      (
        variables.choice != 'false' &&
          (
            variables.namespaceAsks ||
              ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.annotations)
          )
      )
# A map that may be empty.
- name: labels
  expression: |-
    object.metadata.?labels.orValue({})
# The sidecar, as a container or as a native sidecar.
- name: proxies
  expression: |-
    (variables.inits + object.spec.?containers.orValue([])).filter(c, c.name == '{{ .Values.agent.sidecarName }}')
# Pods that the agent would ignore must not wait for it. The injector reads the label before the annotation, too.
- name: capturable
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true &&
      !('openshift.io/deployer-pod-for.name' in variables.annotations) &&
      !('openshift.io/build.name' in variables.annotations) &&
      variables.labels[?'sidecar.istio.io/inject'].orValue(variables.annotations[?'sidecar.istio.io/inject'].orValue('')) != 'false' &&
      variables.proxies != [] &&
      variables.proxies.all(
        c,
        (c.?args[?0].orValue('') != 'proxy' || c.?args[?1].orValue('sidecar') == 'sidecar') &&
          !c.?env.orValue([]).exists(e, e.name == 'DISABLE_ENVOY' && e.?value.orValue('') == 'true')
      )
# Annotations by which the runtime knows which plugins a container needs.
- name: pluginKeys
  expression: |-
    variables.annotations.filter(k, k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$'))
# Lists of plugins that are not JSON, which nobody can extend.
- name: unreadableKeys
  expression: |-
    variables.pluginKeys.filter(
      k,
      !variables.annotations[?k].orValue('').matches('^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$')
    )
# Of the init container that goes, all that is carried on: names and values of variables, too.
- name: words
  expression: |-
    variables.replaced[?0].?args.orValue([]) +
      variables.replaced[?0].?env.orValue([]).map(e, e.name + e.?value.orValue(''))
# Other than tab and line end.
- name: hasControlCharacters
  expression: |-
    variables.words.exists(w, w.matches('[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]'))
# Everything else, in its order.
- name: others
  expression: |-
    variables.inits.filter(c, !(c.name in ['istio-init', 'istio-validation', '{{ .Values.gate.containerName }}']))
# Those of them that will be there: one must be for the whole pod.
- name: guardKeys
  expression: |-
    variables.pluginKeys +
      (
        (
          'required-plugins.noderesource.dev' in variables.annotations ||
            'required-plugins.noderesource.dev/pod' in variables.annotations
        )
          ? dyn([])
          : dyn(['required-plugins.noderesource.dev'])
      )
{{- end }}

{{- define "gate.mutation.runtime" -}}
(variables.hasWork && variables.wanted && variables.capturable &&
  !(variables.replaced != [] && (variables.unreadableKeys != [] || variables.hasControlCharacters))) ? (
  [
    JSONPatch{
      op: 'replace',
      path: '/spec/initContainers',
      value: ((variables.replaced == []) ? dyn(variables.gates) : dyn([])) + variables.others
    }
  ] +
  (has(object.metadata.annotations) ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}]) +
  ((variables.replaced == [])
    ? dyn([])
    : dyn(
      variables.guardKeys.map(
        k,
        [
          dyn(k),
          dyn(
            variables.annotations[?k].orValue('[]').matches('"istio-pod-network-controller"')
              ? variables.annotations[?k].orValue('[]')
              : (
                variables.annotations[?k].orValue('[]').matches('^\\[ *\\]$')
                  ? '["istio-pod-network-controller"]'
                  : variables.annotations[?k].orValue('[]').replace(']', ',"istio-pod-network-controller"]')
              )
          )
        ]
      ) +
        [
          [
            dyn('pod-network-controller.istio.io/istio-arguments'),
            dyn(
              '{"args":[' +
                variables.replaced[?0].?args.orValue([]).map(
                  a,
                  '"' +
                    a.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('\r', '\\r').replace('\t', '\\t') +
                    '"'
                ).join(',') +
                '],"env":[' +
                variables.replaced[?0].?env.orValue([]).map(
                  e,
                  '{"name":' +
                    (
                      '"' +
                        e.name.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('\r', '\\r').replace('\t', '\\t') +
                        '"'
                    ) +
                    (
                      ('valueFrom' in e)
                        ? ''
                        : ',"value":' +
                          (
                            '"' +
                              e.?value.orValue('').replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('\r', '\\r').replace('\t', '\\t') +
                              '"'
                          )
                    ) +
                    '}'
                ).join(',') +
                ']}'
            )
          ]
        ]
    )).map(
    pair,
    JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey(pair[0]), value: pair[1]}
  ) +
  (has(object.spec.nodeSelector) ? [] : [JSONPatch{op: 'add', path: '/spec/nodeSelector', value: {}}]) +
  ((variables.replaced == [])
    ? dyn([])
    : dyn(
      {{ .Values.gate.nodeSelector | default dict | toJson }}.map(k, [dyn(k), dyn({{ .Values.gate.nodeSelector | default dict | toJson }}[?k].orValue(''))])
    )).map(
    pair,
    JSONPatch{op: 'add', path: '/spec/nodeSelector/' + jsonpatch.escapeKey(pair[0]), value: pair[1]}
  )
) : []
{{- end }}

{{- define "gate.refusals.matchConditions" -}}
- name: not-host-network
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true
- name: has-a-proxy
  expression: |-
    (object.spec.?initContainers.orValue([]) + object.spec.?containers.orValue([])).filter(c, c.name == '{{ .Values.agent.sidecarName }}') != []
- name: new-or-another-image
  expression: |-
    (
      request.operation == 'UPDATE' &&
        object.spec.?initContainers.orValue([]).exists(
          c,
          !oldObject.spec.?initContainers.orValue([]).exists(o, o.name == c.name && o.?image.orValue('') == c.?image.orValue(''))
        )
    ) ||
      (
        request.operation != 'UPDATE' &&
          object.metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') != 'false'
      )
{{- end }}

{{- define "gate.refusals.container.variables" -}}
# A map that may be empty.
- name: annotations
  expression: |-
    object.metadata.?annotations.orValue({})
# What the pod itself says; nothing is the empty string.
- name: choice
  expression: |-
    variables.annotations[?'istio-pod-network-controller/initialize'].orValue('')
# The Namespace asks for all its pods.
- name: namespaceAsks
  expression: |-
    namespaceObject.?metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true'
# The pod's own word counts first; a pod that says neither yes nor no follows its Namespace, and then the operator.
- name: wanted
  expression: |-
    variables.choice == 'true' ||
      (
        variables.choice != 'false' &&
          (
            variables.namespaceAsks ||
              ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.annotations)
          )
      )
# A map that may be empty.
- name: labels
  expression: |-
    object.metadata.?labels.orValue({})
# A list that may be empty.
- name: inits
  expression: |-
    object.spec.?initContainers.orValue([])
# The sidecar, as a container or as a native sidecar.
- name: proxies
  expression: |-
    (variables.inits + object.spec.?containers.orValue([])).filter(c, c.name == '{{ .Values.agent.sidecarName }}')
# Pods that the agent would ignore must not wait for it. The injector reads the label before the annotation, too.
- name: capturable
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true &&
      !('openshift.io/deployer-pod-for.name' in variables.annotations) &&
      !('openshift.io/build.name' in variables.annotations) &&
      variables.labels[?'sidecar.istio.io/inject'].orValue(variables.annotations[?'sidecar.istio.io/inject'].orValue('')) != 'false' &&
      variables.proxies != [] &&
      variables.proxies.all(
        c,
        (c.?args[?0].orValue('') != 'proxy' || c.?args[?1].orValue('sidecar') == 'sidecar') &&
          !c.?env.orValue([]).exists(e, e.name == 'DISABLE_ENVOY' && e.?value.orValue('') == 'true')
      )
# A new pod that the agent will capture.
- name: asks
  expression: |-
    request.operation != 'UPDATE' && variables.wanted && variables.capturable
# Istio's init container is still there, and can write rules itself.
- name: keepsIstioInit
  expression: |-
    variables.inits.exists(
      c,
      c.name == 'istio-init' &&
        (
          c.?securityContext.?privileged.orValue(false) == true ||
            c.?securityContext.?capabilities.?add.orValue([]).exists(x, x in ['ALL', 'NET_ADMIN', 'CAP_NET_ADMIN'])
        )
    )
# With interception mode NONE, of the pod or of the mesh, Istio leaves nothing to replace, and there is nothing to wait for.
- name: capturesNothing
  expression: |-
    variables.annotations[?'sidecar.istio.io/interceptionMode'].orValue('') == 'NONE' ||
      variables.proxies.exists(c, c.?env.orValue([]).exists(e, e.name == 'ISTIO_META_INTERCEPTION_MODE' && e.?value.orValue('') == 'NONE'))
# What holds a pod back until it is captured: the gate, or Istio's own check.
- name: gates
  expression: |-
    variables.inits.filter(c, c.name in ['{{ .Values.gate.containerName }}', 'istio-validation'])
# For the messages.
- name: initNames
  expression: |-
    variables.inits.map(c, c.name).join(', ')
# Of the pod as it was. Asked for only in an update, for there is no such pod before.
- name: oldInits
  expression: |-
    oldObject.spec.?initContainers.orValue([])
{{- end }}

{{- define "gate.refusals.container.validations" -}}
- expression: |-
    !(variables.asks && variables.keepsIstioInit)
  reason: Forbidden
  messageExpression: |-
    'this pod keeps istio-init, which is privileged: nothing put the gate in its place. See that what does is installed and runs (value gate.carrier of the chart), or run gate-pod on the manifest. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(variables.asks && !variables.keepsIstioInit && !variables.capturesNothing && variables.gates == [])
  reason: Forbidden
  messageExpression: |-
    'this pod asks for capture and has no gate: its containers would start before its traffic is captured (init containers: ' +
      variables.initNames +
      '). Let Istio inject it and the gate take the place of istio-init (value gate.carrier of the chart), or run gate-pod on the manifest. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      variables.asks &&
        !variables.keepsIstioInit &&
        variables.gates != [] &&
        !(variables.inits[?0].?name.orValue('') in ['{{ .Values.gate.containerName }}', 'istio-validation'])
    )
  reason: Forbidden
  messageExpression: |-
    'the gate must be the first init container, for of a restarted pod kubelet may run only that one again (init containers: ' +
      variables.initNames +
      '). Move it to the front, or let gate-pod do it. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      request.operation == 'UPDATE' &&
        variables.inits.exists(
          c,
          (
            c.name == '{{ .Values.gate.containerName }}' ||
              (c.name == 'istio-validation' && (variables.namespaceAsks || variables.wanted))
          ) &&
            !variables.oldInits.exists(o, o.name == c.name && o.?image.orValue('') == c.?image.orValue(''))
        )
    )
  reason: Forbidden
  messageExpression: |-
    'the image of the gate must not change in a pod: the gate is what holds the containers back until traffic is captured. Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.'
{{- end }}

{{- define "gate.refusals.runtime.variables" -}}
# A map that may be empty.
- name: annotations
  expression: |-
    object.metadata.?annotations.orValue({})
# What the pod itself says; nothing is the empty string.
- name: choice
  expression: |-
    variables.annotations[?'istio-pod-network-controller/initialize'].orValue('')
# The Namespace asks for all its pods.
- name: namespaceAsks
  expression: |-
    namespaceObject.?metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true'
# The pod's own word counts first; a pod that says neither yes nor no follows its Namespace, and then the operator.
- name: wanted
  expression: |-
    variables.choice == 'true' ||
      (
        variables.choice != 'false' &&
          (
            variables.namespaceAsks ||
              ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.annotations)
          )
      )
# A map that may be empty.
- name: labels
  expression: |-
    object.metadata.?labels.orValue({})
# A list that may be empty.
- name: inits
  expression: |-
    object.spec.?initContainers.orValue([])
# The sidecar, as a container or as a native sidecar.
- name: proxies
  expression: |-
    (variables.inits + object.spec.?containers.orValue([])).filter(c, c.name == '{{ .Values.agent.sidecarName }}')
# Pods that the agent would ignore must not wait for it. The injector reads the label before the annotation, too.
- name: capturable
  expression: |-
    object.spec.?hostNetwork.orValue(false) != true &&
      !('openshift.io/deployer-pod-for.name' in variables.annotations) &&
      !('openshift.io/build.name' in variables.annotations) &&
      variables.labels[?'sidecar.istio.io/inject'].orValue(variables.annotations[?'sidecar.istio.io/inject'].orValue('')) != 'false' &&
      variables.proxies != [] &&
      variables.proxies.all(
        c,
        (c.?args[?0].orValue('') != 'proxy' || c.?args[?1].orValue('sidecar') == 'sidecar') &&
          !c.?env.orValue([]).exists(e, e.name == 'DISABLE_ENVOY' && e.?value.orValue('') == 'true')
      )
# A new pod that the agent will capture.
- name: asks
  expression: |-
    request.operation != 'UPDATE' && variables.wanted && variables.capturable
# Istio's init containers, whose place the gate takes; the first hands down what Istio resolved for this pod.
- name: replaced
  expression: |-
    variables.inits.filter(c, c.name in ['istio-init', 'istio-validation'])
# Annotations by which the runtime knows which plugins a container needs.
- name: pluginKeys
  expression: |-
    variables.annotations.filter(k, k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$'))
# Lists of plugins that are not JSON, which nobody can extend.
- name: unreadableKeys
  expression: |-
    variables.pluginKeys.filter(
      k,
      !variables.annotations[?k].orValue('').matches('^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$')
    )
# Of the init container that goes, all that is carried on: names and values of variables, too.
- name: words
  expression: |-
    variables.replaced[?0].?args.orValue([]) +
      variables.replaced[?0].?env.orValue([]).map(e, e.name + e.?value.orValue(''))
# Other than tab and line end.
- name: hasControlCharacters
  expression: |-
    variables.words.exists(w, w.matches('[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]'))
# Istio's init container is still there, and can write rules itself.
- name: keepsIstioInit
  expression: |-
    variables.inits.exists(
      c,
      c.name == 'istio-init' &&
        (
          c.?securityContext.?privileged.orValue(false) == true ||
            c.?securityContext.?capabilities.?add.orValue([]).exists(x, x in ['ALL', 'NET_ADMIN', 'CAP_NET_ADMIN'])
        )
    )
# With interception mode NONE, of the pod or of the mesh, Istio leaves nothing to replace, and there is nothing to wait for.
- name: capturesNothing
  expression: |-
    variables.annotations[?'sidecar.istio.io/interceptionMode'].orValue('') == 'NONE' ||
      variables.proxies.exists(c, c.?env.orValue([]).exists(e, e.name == 'ISTIO_META_INTERCEPTION_MODE' && e.?value.orValue('') == 'NONE'))
# What holds a pod back until it is captured: the gate, or Istio's own check.
- name: gates
  expression: |-
    variables.inits.filter(c, c.name in ['{{ .Values.gate.containerName }}', 'istio-validation'])
# The runtime creates none of its containers while our plugin is away.
- name: heldByRuntime
  expression: |-
    (
      'required-plugins.noderesource.dev' in variables.annotations ||
        'required-plugins.noderesource.dev/pod' in variables.annotations
    ) &&
      variables.annotations.filter(k, k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$')).all(
        k,
        variables.annotations[?k].orValue('').matches('^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$') &&
          variables.annotations[?k].orValue('').matches('"istio-pod-network-controller"')
      )
# For the messages.
- name: initNames
  expression: |-
    variables.inits.map(c, c.name).join(', ')
# Nodes without the validator would start the pod unguarded while the agent is away.
- name: selectsNodes
  expression: |-
    {{ .Values.gate.nodeSelector | default dict | toJson }}.all(
      k,
      object.spec.?nodeSelector.orValue({})[?k].orValue('') == {{ .Values.gate.nodeSelector | default dict | toJson }}[?k].orValue('')
    )
# Of the pod as it was. Asked for only in an update, for there is no such pod before.
- name: oldInits
  expression: |-
    oldObject.spec.?initContainers.orValue([])
{{- end }}

{{- define "gate.refusals.runtime.validations" -}}
- expression: |-
    !(
      variables.asks &&
        variables.replaced != [] && (variables.unreadableKeys != [] || variables.hasControlCharacters)
    )
  reason: Forbidden
  messageExpression: |-
    'this pod cannot do without a gate: ' +
      (
        (variables.unreadableKeys == [])
          ? 'an argument or variable of Istio\'s init container holds a control character, which no gateless pod can carry'
          : 'annotation ' +
            variables.unreadableKeys.join(', ') +
            ' is not a list that the plugin istio-pod-network-controller can be added to: write it as JSON, such as ["one","two"], or leave it out'
      ) +
      '. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(variables.asks && variables.keepsIstioInit)
  reason: Forbidden
  messageExpression: |-
    'this pod keeps istio-init, which is privileged: nothing put the gate in its place. See that what does is installed and runs (value gate.carrier of the chart), or run gate-pod on the manifest. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      variables.asks && !variables.keepsIstioInit && !variables.capturesNothing && variables.gates == [] &&
        !variables.heldByRuntime
    )
  reason: Forbidden
  messageExpression: |-
    'this pod asks for capture and nothing would hold it back: it has no gate (init containers: ' +
      variables.initNames +
      '), and not all that the container runtime goes by (annotations required-plugins.noderesource.dev) names istio-pod-network-controller, as JSON. Let Istio inject it (value gate.carrier of the chart), or run gate-pod on the manifest. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      variables.asks && !variables.keepsIstioInit && !variables.capturesNothing && variables.gates == [] &&
        variables.heldByRuntime &&
        !variables.selectsNodes
    )
  reason: Forbidden
  messageExpression: |-
    'this pod has no gate and may come to a node whose container runtime does not hold it back: its nodeSelector lacks ' +
      {{ .Values.gate.nodeSelector | default dict | toJson }}.map(k, k + '=' + {{ .Values.gate.nodeSelector | default dict | toJson }}[?k].orValue('')).join(', ') +
      ' (value gate.nodeSelector of the chart). Let gate-pod write it. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      variables.asks &&
        !variables.keepsIstioInit &&
        variables.gates != [] &&
        !(variables.inits[?0].?name.orValue('') in ['{{ .Values.gate.containerName }}', 'istio-validation'])
    )
  reason: Forbidden
  messageExpression: |-
    'the gate must be the first init container, for of a restarted pod kubelet may run only that one again (init containers: ' +
      variables.initNames +
      '). Move it to the front, or let gate-pod do it. ' +
      'Leave the pod out by annotating it istio-pod-network-controller/initialize: "false", or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      request.operation == 'UPDATE' &&
        variables.inits.exists(
          c,
          (
            c.name == '{{ .Values.gate.containerName }}' ||
              (c.name == 'istio-validation' && (variables.namespaceAsks || variables.wanted))
          ) &&
            !variables.oldInits.exists(o, o.name == c.name && o.?image.orValue('') == c.?image.orValue(''))
        )
    )
  reason: Forbidden
  messageExpression: |-
    'the image of the gate must not change in a pod: the gate is what holds the containers back until traffic is captured. Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.'
{{- end }}

{{- define "gate.held.matchConditions" -}}
- name: held-or-a-binding
  expression: |-
    request.operation != 'UPDATE' ||
      (
        (
          'required-plugins.noderesource.dev' in oldObject.metadata.?annotations.orValue({}) ||
            'required-plugins.noderesource.dev/pod' in oldObject.metadata.?annotations.orValue({})
        ) &&
          oldObject.metadata.?annotations.orValue({}).filter(k, k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$')).all(
            k,
            oldObject.metadata.?annotations.orValue({})[?k].orValue('').matches('^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$') &&
              oldObject.metadata.?annotations.orValue({})[?k].orValue('').matches('"istio-pod-network-controller"')
          )
      )
{{- end }}

{{- define "gate.held.variables" -}}
# A map that may be empty.
- name: annotations
  expression: |-
    object.metadata.?annotations.orValue({})
# Of the pod as it was. Asked for only in an update.
- name: oldAnnotations
  expression: |-
    oldObject.metadata.?annotations.orValue({})
# The Namespace asks for all its pods.
- name: namespaceAsks
  expression: |-
    namespaceObject.?metadata.?annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true'
# Of the pod as it was.
- name: oldLabels
  expression: |-
    oldObject.metadata.?labels.orValue({})
# A map that may be empty.
- name: labels
  expression: |-
    object.metadata.?labels.orValue({})
# Annotations of a Binding that would come over those of its pod.
- name: brought
  expression: |-
    variables.annotations.filter(
      k,
      k in [
        'pod-network-controller.istio.io/istio-arguments',
        'istio-pod-network-controller/initialize',
        'sidecar.istio.io/inject',
        'openshift.io/deployer-pod-for.name',
        'openshift.io/build.name'
      ] ||
        k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$')
    )
{{- end }}

{{- define "gate.held.validations" -}}
- expression: |-
    !(
      request.operation == 'UPDATE' &&
        !(
          (
            'required-plugins.noderesource.dev' in variables.annotations ||
              'required-plugins.noderesource.dev/pod' in variables.annotations
          ) &&
            variables.annotations.filter(k, k.matches('^required-plugins[.]noderesource[.]dev(/pod|/container[.].*)?$')).all(
              k,
              variables.annotations[?k].orValue('').matches('^\\[ *("[A-Za-z0-9_.+-]+" *(, *"[A-Za-z0-9_.+-]+" *)*)?\\]$') &&
                variables.annotations[?k].orValue('').matches('"istio-pod-network-controller"')
            )
        )
    )
  reason: Forbidden
  messageExpression: |-
    'this pod has no gate: the container runtime holds it back, by its annotations required-plugins.noderesource.dev, each of which must go on naming istio-pod-network-controller, as JSON. ' +
      'Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      request.operation == 'UPDATE' &&
        variables.annotations[?'pod-network-controller.istio.io/istio-arguments'].orValue('') != variables.oldAnnotations[?'pod-network-controller.istio.io/istio-arguments'].orValue('')
    )
  reason: Forbidden
  messageExpression: |-
    'annotation pod-network-controller.istio.io/istio-arguments must not change in a pod: its capture is made of what Istio resolved when it was created. ' +
      'Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.'
- expression: |-
    !(
      request.operation == 'UPDATE' &&
        (
          variables.oldAnnotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true' ||
            (
              variables.oldAnnotations[?'istio-pod-network-controller/initialize'].orValue('') != 'false' &&
                (
                  variables.namespaceAsks ||
                    ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.oldAnnotations)
                )
            )
        ) &&
          !('openshift.io/deployer-pod-for.name' in variables.oldAnnotations) &&
          !('openshift.io/build.name' in variables.oldAnnotations) &&
          variables.oldLabels[?'sidecar.istio.io/inject'].orValue(variables.oldAnnotations[?'sidecar.istio.io/inject'].orValue('')) != 'false' &&
        !(
          (
            variables.annotations[?'istio-pod-network-controller/initialize'].orValue('') == 'true' ||
              (
                variables.annotations[?'istio-pod-network-controller/initialize'].orValue('') != 'false' &&
                  (
                    variables.namespaceAsks ||
                      ('{{ .Values.agent.enroll }}' == 'injected' && 'sidecar.istio.io/status' in variables.annotations)
                  )
              )
          ) &&
            !('openshift.io/deployer-pod-for.name' in variables.annotations) &&
            !('openshift.io/build.name' in variables.annotations) &&
            variables.labels[?'sidecar.istio.io/inject'].orValue(variables.annotations[?'sidecar.istio.io/inject'].orValue('')) != 'false'
        )
    )
  reason: Forbidden
  messageExpression: |-
    'a pod without a gate must not opt out after it was created: its next sandbox would start without capture. ' +
      'Delete the pod and let it be created anew, or switch this check off with --set policies.gate=false.'
- expression: |-
    !(request.operation != 'UPDATE' && (variables.brought != [] || 'sidecar.istio.io/inject' in variables.labels))
  reason: Forbidden
  messageExpression: |-
    'a Binding must not set what decides on the capture of its pod: ' +
      (variables.brought + variables.labels.filter(k, k == 'sidecar.istio.io/inject')).join(', ') +
      '. Leave it out in the scheduler, or switch this check off with --set policies.gate=false.'
{{- end }}

