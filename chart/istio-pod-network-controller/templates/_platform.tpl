{{/*
"true" where Helm talks to a cluster (install, upgrade, --dry-run=server); empty for `helm template`, which sees no object. The Namespace
`default` exists in every cluster.
*/}}
{{- define "isConnected" -}}
{{- if lookup "v1" "Namespace" "" "default" }}true{{ end }}
{{- end }}

{{/* "true" on OpenShift, else empty. `helm template` sees no API: there platform=openshift says so. */}}
{{- define "isOpenShift" -}}
{{- $seen := .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- if or (eq .Values.platform "openshift") (and (eq .Values.platform "auto") $seen) }}true{{ end }}
{{- end }}

{{/* "true" where the API server is seen to have MutatingAdmissionPolicy v1, else empty. `helm template` never sees it. */}}
{{- define "hasMutatingPolicies" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" }}true{{ end }}
{{- end }}

{{/*
Who puts the gate into mesh pods: policy, webhook or none. auto takes the policy where its API is seen. What `helm template` renders must
work on every cluster, so without a cluster it takes the webhook. So it does on OpenShift: there the policy cannot replace istio-init, which
SecurityContextConstraints refuse before the policy runs again.
*/}}
{{- define "gateCarrier" -}}
{{- if ne .Values.gate.carrier "auto" }}{{ .Values.gate.carrier }}
{{- else if and (include "hasMutatingPolicies" .) (not (include "isOpenShift" .)) }}policy
{{- else }}webhook
{{- end }}
{{- end }}
