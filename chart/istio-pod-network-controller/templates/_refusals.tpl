{{/* What cannot work is refused before anything reaches the cluster, with the value to change. */}}
{{- define "refusals" -}}
{{- include "refuseNamespace" . }}
{{- include "refuseCarrier" . }}
{{- include "refuseGateless" . }}
{{- include "refuseDocker" . }}
{{- include "refusePlatform" . }}
{{- include "refuseNames" . }}
{{- include "refuseMonitoring" . }}
{{- end }}

{{- define "refuseNamespace" -}}
{{- $namespace := .Release.Namespace }}
{{- if has $namespace (list "default" "istio-system" "kube-node-lease" "kube-public" "kube-system") }}
{{- fail (printf "Namespace %s is shared, and the agent's Namespace allows privileged pods: give the agent one of its own with -n istio-pod-network-controller" $namespace) }}
{{- end }}
{{- $enforced := dig "metadata" "labels" "pod-security.kubernetes.io/enforce" "" (lookup "v1" "Namespace" "" $namespace) }}
{{- if has $enforced (list "baseline" "restricted") }}
{{- fail (printf "Namespace %s enforces Pod Security %s, which forbids the agent its hostPath volumes and capabilities; allow them with: kubectl label namespace %s --overwrite pod-security.kubernetes.io/enforce=privileged" $namespace $enforced $namespace) }}
{{- end }}
{{- end }}

{{- define "refuseCarrier" -}}
{{- if and (eq .Values.gate.carrier "policy") (not (include "hasMutatingPolicies" .)) }}
{{- $version := .Capabilities.KubeVersion.Version }}
{{- if include "isConnected" . }}
{{- fail (printf "gate.carrier=policy: this cluster (Kubernetes %s) does not serve MutatingAdmissionPolicy admissionregistration.k8s.io/v1, which is there from 1.36 on; use gate.carrier=webhook" $version) }}
{{- else if semverCompare "<1.36.0-0" $version }}
{{- fail (printf "gate.carrier=policy: Kubernetes %s has no MutatingAdmissionPolicy v1, which is there from 1.36 on; use gate.carrier=webhook, or, if %s is only what this Helm takes for granted, say the cluster's version with --kube-version 1.36.0" $version $version) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Without the plugin the runtime would never let a pod go. YAML takes a bare `off` for false. */}}
{{- define "refuseGateless" -}}
{{- if and (eq .Values.gate.mode "runtime") (has (dig "nri" "auto" .Values.agent | toString) (list "off" "false")) }}
{{- fail "gate.mode=runtime: the container runtime holds pods back for the agent's NRI plugin, which agent.nri=off switches off; use agent.nri=auto, or gate.mode=container" }}
{{- end }}
{{- if and (eq .Values.gate.mode "runtime") .Values.agent.docker.enabled }}
{{- fail "gate.mode=runtime: Docker cannot hold pods back for an NRI plugin, for it calls none; with agent.docker.enabled use gate.mode=container" }}
{{- end }}
{{- end }}

{{/* Asked elsewhere, nobody would know of the node's pods, or where their network namespaces are, and they would wait for ever. */}}
{{- define "refuseDocker" -}}
{{- $socket := .Values.agent.criSocket }}
{{- if and .Values.agent.docker.enabled (hasSuffix "/containerd.sock" $socket) }}
{{- fail (printf "agent.docker.enabled: agent.criSocket=%s is containerd's, which knows nothing of Docker's pods; set agent.criSocket=/var/run/cri-dockerd.sock, or where cri-dockerd listens" $socket) }}
{{- end }}
{{- if and (not .Values.agent.docker.enabled) (contains "cri-dockerd" (base $socket)) }}
{{- fail (printf "agent.criSocket=%s: cri-dockerd does not say where network namespaces are, Docker does; set agent.docker.enabled=true" $socket) }}
{{- end }}
{{- end }}

{{- define "refusePlatform" -}}
{{- if and (eq .Values.platform "openshift") (include "isConnected" .) (not (.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}
{{- fail "platform=openshift: this cluster does not serve security.openshift.io/v1 (SecurityContextConstraints); use platform=auto or platform=kubernetes" }}
{{- end }}
{{- end }}

{{- define "refuseNames" -}}
{{- $name := .Values.gate.containerName }}
{{- if has $name (list "istio-init" "istio-validation" .Values.agent.sidecarName) }}
{{- fail (printf "gate.containerName=%s is the name of a container of Istio; the gate needs one of its own, such as istio-pod-network-controller-gate" $name) }}
{{- end }}
{{- end }}

{{- define "refuseMonitoring" -}}
{{- range $key, $_ := .Values.agent.podAnnotations }}
{{- if and $.Values.monitoring.annotations (hasPrefix "prometheus.io/" $key) }}
{{- fail (printf "agent.podAnnotations sets %s, which monitoring.annotations sets as well; set monitoring.annotations=false" $key) }}
{{- end }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled (include "isConnected" .) (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}
{{- fail "monitoring.podMonitor.enabled: this cluster does not serve monitoring.coreos.com/v1 (PodMonitor); install the Prometheus Operator first, or leave it false and use monitoring.annotations" }}
{{- end }}
{{- end }}
