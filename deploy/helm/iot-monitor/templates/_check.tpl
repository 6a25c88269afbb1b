{{/*
What no schema can say: values that contradict each other. Each failure names the value and what would be right. Included
once, by bridge.yaml.
*/}}
{{- define "iot.check" -}}
{{- $v := .Values }}
{{- $errors := list }}
{{- $partitions := int $v.kafka.deviceDataPartitions }}
{{- if gt (int $v.core.replicas) $partitions }}
{{- $errors = append $errors (printf "core.replicas is %d, but the topic %s has %d partitions (kafka.deviceDataPartitions), and further cores would be idle: want %d at most" (int $v.core.replicas) $v.kafka.deviceDataTopic $partitions $partitions) }}
{{- end }}
{{- with $v.core.autoscaling }}
{{- if ne .mode "none" }}
{{- if gt (int .maxReplicas) $partitions }}
{{- $errors = append $errors (printf "core.autoscaling.maxReplicas is %d, but the topic %s has %d partitions (kafka.deviceDataPartitions), and further cores would be idle: want %d at most" (int .maxReplicas) $v.kafka.deviceDataTopic $partitions $partitions) }}
{{- end }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- $errors = append $errors (printf "core.autoscaling.minReplicas is %d and maxReplicas %d: want the former not above the latter" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (gt (int $v.bridge.replicas) 1) (not $v.hub.url) }}
{{- $errors = append $errors (printf "bridge.replicas is %d, but the hub is embedded in the bridge, and gateways of one hub do not reach the other: set hub.url to an external NATS, or bridge.replicas to 1" (int $v.bridge.replicas)) }}
{{- end }}
{{- if gt (int $v.bridge.replicas) (int $v.bridge.lanes) }}
{{- $errors = append $errors (printf "bridge.replicas is %d and bridge.lanes %d: a lane has one bridge, so the others would be idle; want at least a lane for each" (int $v.bridge.replicas) (int $v.bridge.lanes)) }}
{{- end }}
{{- if and (gt (int $v.portal.replicas) 1) (not $v.portal.database.enabled) }}
{{- $errors = append $errors (printf "portal.replicas is %d, but the database is a file, which one portal can use: set portal.database.enabled and the key database-url of the Secret, or portal.replicas to 1" (int $v.portal.replicas)) }}
{{- end }}
{{- if and (hasPrefix "SASL_" $v.kafka.securityProtocol) (not $v.kafka.sasl.mechanism) }}
{{- $errors = append $errors (printf "kafka.securityProtocol is %s without kafka.sasl.mechanism: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER" $v.kafka.securityProtocol) }}
{{- end }}
{{- if and (hasPrefix "SASL_" $v.kafka.securityProtocol) (eq $v.kafka.sasl.mechanism "OAUTHBEARER") (not $v.kafka.sasl.oauth.tokenUrl) }}
{{- $errors = append $errors "kafka.sasl.mechanism is OAUTHBEARER without kafka.sasl.oauth.tokenUrl: want https://…" }}
{{- end }}
{{- if and (include "iot.engine" .) (not $v.history.url) (not $v.history.urlFromSecret) }}
{{- $errors = append $errors (printf "history.mode is %s without an address: set history.url, or history.urlFromSecret and the key history-url of the Secret" $v.history.mode) }}
{{- end }}
{{- if and $v.history.url $v.history.urlFromSecret }}
{{- $errors = append $errors "history.url and history.urlFromSecret are both set: want one" }}
{{- end }}
{{- /* What the programs would refuse at their start. */}}
{{- $anonymous := has "anonymous" $v.insecure }}
{{- $plaintext := has "plaintext" $v.insecure }}
{{- if and (not $v.hub.url) (ne $v.hub.auth "required") (not $anonymous) }}
{{- $errors = append $errors (printf "hub.auth is %s, and other pods and gateways reach the hub: want required, or insecure=[anonymous] on an isolated network" $v.hub.auth) }}
{{- end }}
{{- if and (not $v.hub.url) (not $v.hub.tls.existingSecret) (not $plaintext) }}
{{- $errors = append $errors "hub.tls.existingSecret is empty, and gateways reach the hub: want a Secret with its certificate, or insecure=[plaintext] on an isolated network" }}
{{- end }}
{{- if and (ne $v.history.mode "off") (not $v.history.tls.existingSecret) (not $plaintext) }}
{{- $errors = append $errors "history.tls.existingSecret is empty, and other pods reach the history: want a Secret with its certificate, or insecure=[plaintext] on an isolated network" }}
{{- end }}
{{- if and (eq $v.portal.auth "off") (not $anonymous) }}
{{- $errors = append $errors "portal.auth is off, and all who reach the portal could command the plant: want local, token, oidc or proxy, or insecure=[anonymous] on an isolated network" }}
{{- end }}
{{- if and (not $v.portal.tls.existingSecret) (not $v.portal.trustedProxies) (not $plaintext) }}
{{- $errors = append $errors "portal.tls.existingSecret and portal.trustedProxies are empty: want a Secret with the portal's certificate, or the addresses of a proxy that ends TLS, or insecure=[plaintext] on an isolated network" }}
{{- end }}
{{- if and $v.portal.ingress.enabled (not $v.portal.trustedProxies) }}
{{- $errors = append $errors "portal.ingress is enabled without portal.trustedProxies: list the addresses of the ingress controller's pods, such as 10.42.0.0/16, or the portal takes all its clients for one" }}
{{- end }}
{{- if and $v.monitoring.podMonitor.enabled $anonymous }}
{{- $errors = append $errors "monitoring.podMonitor is enabled with insecure=[anonymous]: there is no ops-token then, and programs show /metrics to no other machine without one; remove one of the two" }}
{{- end }}
{{- with $errors }}
{{- fail (printf "\n\n%d value(s) to correct:\n- %s\n" (len .) (join "\n- " .)) }}
{{- end }}
{{- end }}
