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
