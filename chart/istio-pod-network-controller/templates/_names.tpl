{{/* Labels every object carries. */}}
{{- define "labels" -}}
app.kubernetes.io/name: istio-pod-network-controller
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The image of agent and gate. */}}
{{- define "image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Namespaces whose pods are never touched, as a JSON list. */}}
{{- define "excludedNamespaces" -}}
{{ append .Values.agent.excludeNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}
