{{/*
Environment of the programs. Each of these templates gives a map of names to texts; iot.env makes the list of a container
of it. A variable that the chart sets cannot be set by settings as well: one of the two would not count.
*/}}

{{/* dict "root" $ "component" "core" "env" MAP "settings" MAP "memory" "400MiB" */}}
{{- define "iot.env" -}}
{{- $component := .component }}
{{- $env := .env }}
{{- range $name, $value := .settings }}
{{- if hasKey $env $name }}
{{- fail (printf "%s.settings.%s: the chart sets this variable by a value of its own (%s); see README.md of the chart" $component $name (get $env $name | quote)) }}
{{- end }}
{{- end }}
{{- $all := merge (dict "GOMEMLIMIT" .memory) $env .settings }}
{{- range $name := keys $all | sortAlpha }}
- {name: {{ $name }}, value: {{ get $all $name | toString | quote }}}
{{- end }}
{{- end }}

{{/* A variable from a key of the Secret: dict "root" $ "name" "DATABASE_URL" "key" "database-url". */}}
{{- define "iot.secretEnv" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .root.Values.secrets.existingSecret }}, key: {{ .key }}}}
{{- end }}

{{- define "iot.commonEnv" -}}
LOG_LEVEL: {{ .Values.log.level }}
LOG_FORMAT: {{ .Values.log.format }}
{{- with .Values.insecure }}
INSECURE: {{ join "," . }}
{{- end }}
{{- if include "iot.opsToken" . }}
OPS_TOKEN_FILE: /etc/iot/secrets/ops-token
{{- end }}
{{- end }}

{{/* dict "root" $ "user" "core" */}}
{{- define "iot.kafkaEnv" -}}
{{- $k := .root.Values.kafka }}
KAFKA_BROKERS: {{ join "," $k.brokers | quote }}
KAFKA_TOPIC_DEVICE_DATA: {{ $k.deviceDataTopic | quote }}
KAFKA_SECURITY_PROTOCOL: {{ $k.securityProtocol }}
{{- if hasPrefix "SASL_" $k.securityProtocol }}
KAFKA_SASL_MECHANISM: {{ $k.sasl.mechanism }}
{{- if eq $k.sasl.mechanism "OAUTHBEARER" }}
KAFKA_SASL_OAUTH_TOKEN_URL: {{ $k.sasl.oauth.tokenUrl | quote }}
KAFKA_SASL_OAUTH_CLIENT_ID: {{ get $k.sasl.oauth.clientIds .user | quote }}
KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE: /etc/iot/secrets/kafka-oauth-{{ .user }}
{{- with $k.sasl.oauth.scopes }}
KAFKA_SASL_OAUTH_SCOPES: {{ join "," . | quote }}
{{- end }}
{{- else }}
KAFKA_SASL_USERNAME: {{ get $k.sasl.usernames .user | quote }}
KAFKA_SASL_PASSWORD_FILE: /etc/iot/secrets/kafka-password-{{ .user }}
{{- end }}
{{- end }}
{{- if hasSuffix "SSL" $k.securityProtocol }}
{{- if $k.tls.caSecret }}
KAFKA_SSL_CA_FILE: /etc/iot/kafka-ca/ca.crt
{{- end }}
{{- if get $k.tls.clientSecrets .user }}
KAFKA_SSL_CERT_FILE: /etc/iot/kafka-cert/tls.crt
KAFKA_SSL_KEY_FILE: /etc/iot/kafka-cert/tls.key
{{- end }}
{{- with $k.tls.serverName }}
KAFKA_SSL_SERVER_NAME: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of a client of the hub: dict "root" $ "key" "core". */}}
{{- define "iot.hubEnv" -}}
HUB_URL: {{ include "iot.hubURL" .root | quote }}
{{- if include "iot.hubKeys" .root }}
HUB_KEY_FILE: /etc/iot/secrets/{{ .key }}.nk
{{- end }}
{{- if include "iot.hubTLS" .root }}
HUB_CA_FILE: /etc/iot/hub-ca/ca.crt
{{- end }}
{{- end }}

{{/* Of a program that answers questions about the history. */}}
{{- define "iot.historyServerEnv" -}}
CORE_HISTORY_ADDR: 0.0.0.0:9106
HISTORY_RETENTION: {{ .Values.history.retention | quote }}
{{- if not (has "anonymous" .Values.insecure) }}
CORE_HISTORY_TOKEN_FILE: /etc/iot/secrets/history-token
{{- end }}
{{- if .Values.history.tls.existingSecret }}
CORE_HISTORY_TLS_CERT_FILE: /etc/iot/history-tls/tls.crt
CORE_HISTORY_TLS_KEY_FILE: /etc/iot/history-tls/tls.key
{{- end }}
{{- end }}
