{{/*
Parts of a pod that all programs share. They pass the pod security standard "restricted": no root, no rights, nothing
writable but volumes.
*/}}

{{/* dict "root" $ "component" "core" "values" VALUES */}}
{{- define "iot.podCommon" -}}
automountServiceAccountToken: false
# The variables of Services that Kubernetes would add look like settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
    # A node that is being drained is no place to spread to, and the pods of the former version are on their way out.
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "iot.selector" (dict "root" $.root "component" $.component) | nindent 8 }}
  {{- end }}
{{- end }}

{{/* dict "root" $ "program" "core" "values" VALUES */}}
{{- define "iot.containerCommon" -}}
image: {{ printf "%s/%s:%s" .root.Values.image.repository .program (default .root.Chart.AppVersion .root.Values.image.tag) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
resources: {{- toYaml .values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: {drop: [ALL]}
{{- end }}

{{/*
/livez says that the process answers, /readyz that it makes progress. Nothing restarts a program because Kafka or the hub
is away: it goes on by itself when they are back.
dict "port" "ops" "scheme" "HTTP"
*/}}
{{- define "iot.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: {{ .port }}, scheme: {{ .scheme }}}
  periodSeconds: 2
  timeoutSeconds: 4
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /livez, port: {{ .port }}, scheme: {{ .scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}, scheme: {{ .scheme }}}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 2
{{- end }}

{{/* Volumes of Secrets and their mounts: dict "root" $ "user" "core" "keys" LIST "hubCA" "yes". */}}
{{- define "iot.secretVolumes" -}}
{{- with .keys }}
- name: secrets
  secret:
    secretName: {{ $.root.Values.secrets.existingSecret }}
    defaultMode: 0440
    items:
      {{- range . }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- if .hubCA }}
- name: hub-ca
  secret: {secretName: {{ .root.Values.hub.tls.existingSecret }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if hasSuffix "SSL" .root.Values.kafka.securityProtocol }}
{{- with .root.Values.kafka.tls.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with get .root.Values.kafka.tls.clientSecrets .user }}
- name: kafka-cert
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- end }}
{{- end }}

{{- define "iot.secretMounts" -}}
{{- if .keys }}
- {name: secrets, mountPath: /etc/iot/secrets, readOnly: true}
{{- end }}
{{- if .hubCA }}
- {name: hub-ca, mountPath: /etc/iot/hub-ca, readOnly: true}
{{- end }}
{{- if hasSuffix "SSL" .root.Values.kafka.securityProtocol }}
{{- if .root.Values.kafka.tls.caSecret }}
- {name: kafka-ca, mountPath: /etc/iot/kafka-ca, readOnly: true}
{{- end }}
{{- if get .root.Values.kafka.tls.clientSecrets .user }}
- {name: kafka-cert, mountPath: /etc/iot/kafka-cert, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* Keys of the Secret that a program of this Kafka user needs, as a list in JSON: dict "root" $ "user" "core" "hubKey" "core" "more" LIST. */}}
{{- define "iot.keys" -}}
{{- $keys := list }}
{{- if include "iot.opsToken" .root }}{{ $keys = append $keys "ops-token" }}{{ end }}
{{- if and .hubKey (include "iot.hubKeys" .root) }}{{ $keys = append $keys (printf "%s.nk" .hubKey) }}{{ end }}
{{- if hasPrefix "SASL_" .root.Values.kafka.securityProtocol }}
{{- $kind := ternary "oauth" "password" (eq .root.Values.kafka.sasl.mechanism "OAUTHBEARER") }}
{{- $keys = append $keys (printf "kafka-%s-%s" $kind .user) }}
{{- end }}
{{- concat $keys .more | toJson }}
{{- end }}
