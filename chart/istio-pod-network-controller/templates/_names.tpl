{{/* Labels every object carries. */}}
{{- define "labels" -}}
app.kubernetes.io/name: istio-pod-network-controller
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of agent, gate and webhook. */}}
{{- define "image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* imagePullSecrets of the pod spec in a template; nothing where there are none. Brings its own line and indentation. */}}
{{- define "imagePullSecrets" -}}
{{- with .Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
{{- end }}
{{- end }}

{{/* Annotations of a pod template that lead Prometheus to its metrics: (list $ port). Brings its own lines and indentation. */}}
{{- define "scrapeAnnotations" -}}
{{- if (index . 0).Values.monitoring.annotations }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ index . 1 | quote }}
        prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{/* Namespaces whose pods are never touched, as a JSON list. */}}
{{- define "excludedNamespaces" -}}
{{ append .Values.agent.excludeNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* The annotations every object carries, after its labels. Brings its own lines and indentation. */}}
{{- define "annotations" -}}
{{- with .Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/*
Where the directory of a runtime's socket is mounted in the agent's container: at the same place, but /run itself at /host/run. Over the
container's own /run kubelet could not mount the token of the ServiceAccount.
*/}}
{{- define "socketDirectory" -}}
{{- $directory := dir . -}}
{{ has $directory (list "/run" "/var/run") | ternary "/host/run" $directory }}
{{- end }}

{{/* The path of a runtime's socket in the agent's container. */}}
{{- define "socketPath" -}}
{{ include "socketDirectory" . }}/{{ base . }}
{{- end }}
