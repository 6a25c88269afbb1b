{{/* Names and labels. */}}

{{- define "iot.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "iot.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "iot.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "iot.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Labels by which Services, policies and budgets find pods: dict "root" $ "component" "core". */}}
{{- define "iot.selector" -}}
app.kubernetes.io/name: {{ include "iot.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "iot.labels" -}}
{{ include "iot.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Whether something is on: "yes" or empty. */}}
{{- define "iot.hubKeys" -}}{{ if ne .Values.hub.auth "off" }}yes{{ end }}{{- end }}
{{- define "iot.hubTLS" -}}{{ if and .Values.hub.tls.existingSecret (or (not .Values.hub.url) (hasPrefix "tls://" .Values.hub.url)) }}yes{{ end }}{{- end }}
{{- define "iot.historian" -}}{{ if eq .Values.history.mode "embedded" }}yes{{ end }}{{- end }}
{{- define "iot.engine" -}}{{ if has .Values.history.mode (list "victoriametrics" "influxdb") }}yes{{ end }}{{- end }}
{{- define "iot.opsToken" -}}{{ if not (has "anonymous" .Values.insecure) }}yes{{ end }}{{- end }}
{{- define "iot.portalVolume" -}}{{ if not .Values.portal.database.enabled }}yes{{ end }}{{- end }}

{{- define "iot.hubURL" -}}
{{- if .Values.hub.url -}}
{{ .Values.hub.url }}
{{- else -}}
{{ ternary "tls" "nats" (ne (include "iot.hubTLS" .) "") }}://{{ include "iot.fullname" . }}-hub:4230
{{- end -}}
{{- end }}
