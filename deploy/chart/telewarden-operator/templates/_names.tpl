{{- define "telewarden-operator.labels" -}}
app.kubernetes.io/name: telewarden-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "telewarden-operator.selector" -}}
app.kubernetes.io/name: telewarden-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "telewarden-operator.fullname" -}}
{{- if contains "telewarden-operator" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-telewarden-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
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
{{- .Values.settings.instance | default "telewarden" -}}
{{- end -}}

{{- /* A JSON list of GROUP/RESOURCE: what is rendered besides ConfigMaps and Deployments. */}}
{{- define "telewarden-operator.rendered" -}}
{{- $rendered := list }}
{{- if .Values.settings.networkPolicy }}{{ $rendered = list "networking.k8s.io/networkpolicies" }}{{ end }}
{{- $influxdb := .Values.settings.influxdb | default dict }}
{{- /* A source's own token is put into a Secret. */}}
{{- if eq ($influxdb.provide | default "nothing") "bucketsAndTokens" }}{{ $rendered = append $rendered "/secrets" }}{{ end }}
{{- range .Values.settings.extraResources }}
{{- $group := contains "/" .apiVersion | ternary (splitList "/" .apiVersion | first) "" }}
{{- $plural := index $.Values.plurals .kind | default (include "telewarden-operator.plural" .kind) }}
{{- $rendered = printf "%s/%s" $group $plural | append $rendered }}
{{- end }}
{{- uniq $rendered | toJson -}}
{{- end -}}
