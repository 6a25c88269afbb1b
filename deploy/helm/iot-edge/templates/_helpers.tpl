{{- define "edge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "edge.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "edge.labels" -}}
{{ include "edge.selector" . }}
app.kubernetes.io/component: edge
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What the gateway would refuse at its start, and what no schema can say. */}}
{{- define "edge.check" -}}
{{- $v := .Values }}
{{- $errors := list }}
{{- if and (ne $v.devices.auth "required") (not (has "anonymous" $v.insecure)) }}
{{- $errors = append $errors (printf "devices.auth is %s, and devices reach the gateway: want required, or insecure=[anonymous] on an isolated network" $v.devices.auth) }}
{{- end }}
{{- if not (has "plaintext" $v.insecure) }}
{{- if not $v.devices.tls.existingSecret }}
{{- $errors = append $errors "devices.tls.existingSecret is empty, and devices reach the gateway: want a Secret with its certificate, or insecure=[plaintext] on an isolated network" }}
{{- else if ne $v.devices.tls.mode "required" }}
{{- $errors = append $errors "devices.tls.mode is optional, so devices may connect without TLS: want required, or insecure=[plaintext]" }}
{{- end }}
{{- end }}
{{- if and (not $v.secrets.existingSecret) (not (has "anonymous" $v.insecure)) }}
{{- $errors = append $errors "secrets.existingSecret is empty, and the port of /metrics can be reached: want a Secret with the key ops-token, or insecure=[anonymous]" }}
{{- end }}
{{- if and $v.hostPorts (eq $v.service.type "LoadBalancer") }}
{{- $errors = append $errors "hostPorts and service.type LoadBalancer would both take the node's ports: set service.type to ClusterIP" }}
{{- end }}
{{- with $errors }}
{{- fail (printf "\n\n%d value(s) to correct:\n- %s\n" (len .) (join "\n- " .)) }}
{{- end }}
{{- end }}

{{- define "edge.env" -}}
{{- $v := .Values }}
{{- $env := dict "GOMEMLIMIT" $v.goMemLimit "LOG_LEVEL" $v.log.level "LOG_FORMAT" $v.log.format "EDGE_GATEWAY_ID" $v.gatewayId "EDGE_NATS_ADDR" "0.0.0.0:4222" "EDGE_MQTT_ADDR" "0.0.0.0:1883" "EDGE_HTTP_ADDR" "0.0.0.0:9101" "EDGE_DATA_DIR" "/data" "EDGE_BUFFER_BYTES" (int64 $v.storage.bufferBytes | toString) "EDGE_DEVICE_AUTH" $v.devices.auth }}
{{- with $v.building }}{{ $env = merge $env (dict "EDGE_BUILDING" .) }}{{ end }}
{{- with $v.hub.url }}{{ $env = merge $env (dict "EDGE_HUB_URL" .) }}{{ end }}
{{- with $v.insecure }}{{ $env = merge $env (dict "INSECURE" (join "," .)) }}{{ end }}
{{- if $v.secrets.existingSecret }}{{ $env = merge $env (dict "OPS_TOKEN_FILE" "/etc/iot/secrets/ops-token") }}{{ end }}
{{- if $v.hub.caSecret }}{{ $env = merge $env (dict "EDGE_HUB_CA_FILE" "/etc/iot/hub-ca/ca.crt") }}{{ end }}
{{- if $v.devices.tls.existingSecret }}{{ $env = merge $env (dict "EDGE_TLS_CERT_FILE" "/etc/iot/tls/tls.crt" "EDGE_TLS_KEY_FILE" "/etc/iot/tls/tls.key" "EDGE_TLS" $v.devices.tls.mode) }}{{ end }}
{{- if $v.devices.tls.clientCASecret }}{{ $env = merge $env (dict "EDGE_TLS_CLIENT_CA_FILE" "/etc/iot/device-ca/ca.crt") }}{{ end }}
{{- if $v.devices.mqttWebSocket }}{{ $env = merge $env (dict "EDGE_MQTT_WS_ADDR" "0.0.0.0:1884") }}{{ end }}
{{- if $v.mappings }}{{ $env = merge $env (dict "EDGE_MAPPINGS_FILE" "/etc/iot/mappings/mappings.yaml") }}{{ end }}
{{- range $name, $_ := $v.settings }}
{{- if hasKey $env $name }}
{{- fail (printf "settings.%s: the chart sets this variable by a value of its own (%s); see README.md of the chart" $name (get $env $name | quote)) }}
{{- end }}
{{- end }}
{{- $env = merge $env $v.settings }}
{{- range $name := keys $env | sortAlpha }}
- {name: {{ $name }}, value: {{ get $env $name | toString | quote }}}
{{- end }}
{{- end }}
