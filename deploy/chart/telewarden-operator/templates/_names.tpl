{{- define "telewarden-operator.labels" -}}
{{- $ours := dict
  "app.kubernetes.io/name" "telewarden-operator"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_"))
-}}
{{- merge $ours .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "telewarden-operator.selector" -}}
app.kubernetes.io/name: telewarden-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "telewarden-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains "telewarden-operator" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-telewarden-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "telewarden-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "telewarden-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* Subjects of bindings. */}}
{{- define "telewarden-operator.subjects" -}}
- {kind: ServiceAccount, name: {{ include "telewarden-operator.serviceAccount" . }}, namespace: {{ .Release.Namespace }}}
{{- end -}}

{{- /* The settings of the values. `operatorNamespace` is that of the release, unless it is set. */}}
{{- define "telewarden-operator.own-settings" -}}
{{- $settings := .Values.settings -}}
{{- if ne .Release.Namespace "telewarden" -}}
{{- $settings = merge (dict) $settings (dict "operatorNamespace" .Release.Namespace) -}}
{{- end -}}
{{- $settings | toYaml -}}
{{- end -}}

{{- /* The settings that the rights follow from: those of the policy that is read, if it can be looked up. */}}
{{- define "telewarden-operator.settings" -}}
{{- $settings := .Values.settings -}}
{{- if and .Values.settingsFrom (.Capabilities.APIVersions.Has "policies.kubewarden.io/v1") -}}
{{- $policy := lookup "policies.kubewarden.io/v1" "ClusterAdmissionPolicy" "" .Values.settingsFrom -}}
{{- with $policy -}}
{{- $settings = .spec.settings | default dict -}}
{{- end -}}
{{- end -}}
{{- $settings | toYaml -}}
{{- end -}}

{{- /* What Kubernetes itself takes for a kind's plural when it has to guess. */}}
{{- define "telewarden-operator.plural" -}}
{{- $kind := lower . -}}
{{- if hasSuffix "s" $kind -}}{{ $kind }}es
{{- else if hasSuffix "y" $kind -}}{{ trimSuffix "y" $kind }}ies
{{- else -}}{{ $kind }}s
{{- end -}}
{{- end -}}

{{- /* The instance label of everything that the operator owns. */}}
{{- define "telewarden-operator.instance" -}}
{{- $settings := include "telewarden-operator.settings" . | fromYaml -}}
{{- $settings.instance | default "telewarden" -}}
{{- end -}}

{{- /* A JSON list of GROUP/RESOURCE: what is rendered besides ConfigMaps and Deployments. */}}
{{- define "telewarden-operator.rendered" -}}
{{- $settings := include "telewarden-operator.settings" . | fromYaml -}}
{{- $rendered := list }}
{{- if $settings.networkPolicy }}{{ $rendered = list "networking.k8s.io/networkpolicies" }}{{ end }}
{{- $influxdb := $settings.influxdb | default dict }}
{{- /* A source's own token is put into a Secret. */}}
{{- if eq ($influxdb.provide | default "nothing") "bucketsAndTokens" }}{{ $rendered = append $rendered "/secrets" }}{{ end }}
{{- if .Values.status.reports }}{{ $rendered = append $rendered "openreports.io/reports" }}{{ end }}
{{- range $settings.extraResources }}
{{- $group := contains "/" .apiVersion | ternary (splitList "/" .apiVersion | first) "" }}
{{- $plural := index $.Values.plurals .kind | default (include "telewarden-operator.plural" .kind) }}
{{- $rendered = printf "%s/%s" $group $plural | append $rendered }}
{{- end }}
{{- /* What the operator has rendered before, and now has to find and delete: the inventory names it. */}}
{{- $name := include "telewarden-operator.instance" . | printf "telewarden-inventory-%s" }}
{{- $inventory := lookup "v1" "ConfigMap" .Release.Namespace $name | default dict }}
{{- $before := dig "metadata" "annotations" "applyset.kubernetes.io/contains-group-kinds" "" $inventory | splitList "," }}
{{- if has "Secret" $before }}{{ $rendered = append $rendered "/secrets" }}{{ end }}
{{- if has "NetworkPolicy.networking.k8s.io" $before }}{{ $rendered = append $rendered "networking.k8s.io/networkpolicies" }}{{ end }}
{{- uniq $rendered | toJson -}}
{{- end -}}

{{- /* Rights to say why an endpoint fails: in the namespaces of the sources, */}}
{{- define "telewarden-operator.services" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [get, list]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
{{- end -}}

{{- /* and where Telegraf's pods are. */}}
{{- define "telewarden-operator.logs" -}}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}

{{- /* Whether `namespaces` does not bound where the sources are: their Telegrafs are elsewhere. */}}
{{- define "telewarden-operator.sources-anywhere" -}}
{{- $settings := include "telewarden-operator.settings" . | fromYaml -}}
{{- if or (not .Values.namespaces) (eq ($settings.topology | default "application") "standalone") -}}true{{- end -}}
{{- end -}}
