{{/* Labels of what belongs to the webhook. Another name than the agent's, whose DaemonSet would adopt its pods. */}}
{{- define "webhook.labels" -}}
{{- include "labels" . | replace "app.kubernetes.io/name: istio-pod-network-controller" "app.kubernetes.io/name: istio-pod-network-controller-webhook" }}
app.kubernetes.io/component: webhook
{{- end }}
