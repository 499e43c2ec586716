{{/* The agent, as the API server names its ServiceAccount. */}}
{{- define "agentUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:istio-pod-network-controller
{{- end }}

{{/* The annotations only the agent writes (src/agent/report.ts), as a CEL list. */}}
{{- define "agentAnnotations" -}}
['pod-network-controller.istio.io/status', 'pod-network-controller.istio.io/message', 'pod-network-controller.istio.io/capture']
{{- end }}

{{/* CEL: the node of the pod that kubelet mounted the requester's token into, or an empty text. */}}
{{- define "nodeOfToken" -}}
request.userInfo.?extra[?'authentication.kubernetes.io/node-name'][?0].orValue('')
{{- end }}
