# shellcheck shell=bash
# shellcheck disable=SC2154 # deploy.sh sets env_file
# The settings of deploy.sh: .env with its secrets, and ports. A setting comes from the environment, else from
# .env, else it has its default.

# Every port that the plant listens on, by the variable that changes it.
readonly port_table="
PORTAL_PORT 8080
PORTAL_WS_PORT 8081
KAFKA_PORT 9092
KAFKA_CONTROLLER_PORT 9095
EDGE_A_NATS_PORT 4222
EDGE_B_NATS_PORT 4223
EDGE_C_NATS_PORT 4224
EDGE_A_MQTT_PORT 1883
EDGE_B_MQTT_PORT 1884
EDGE_C_MQTT_PORT 1885
EDGE_A_OPS_PORT 9111
EDGE_B_OPS_PORT 9112
EDGE_C_OPS_PORT 9113
HUB_PORT 4230
LEAF_PORT 7422
BRIDGE_OPS_PORT 9102
CORE_OPS_PORT 9103
SIM_OPS_PORT 9104
HISTORY_PORT 9106
REDIS_PORT 6379
POSTGRES_PORT 5432
PROMETHEUS_PORT 9090
ALERTMANAGER_PORT 9093
INFLUXDB_PORT 8086
INFLUXDB_RPC_PORT 8088
VICTORIAMETRICS_PORT 8428
GRAFANA_PORT 3000
JAEGER_PORT 16686
OTLP_PORT 4318
"

readonly secrets=(OPS_TOKEN POSTGRES_PASSWORD REDIS_PASSWORD GRAFANA_ADMIN_PASSWORD)

# in_env_file NAME: whether .env has a line for it, also one without a value.
in_env_file() { grep -qsE "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=" "$env_file"; }

# from_env_file NAME prints its value in .env.
from_env_file() {
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*(.*)/\2/p" "$env_file" | tail -1 |
    sed -E "s/^\"([^\"]*)\".*/\1/; t; s/^'([^']*)'.*/\1/; t; s/[[:space:]]+#.*//; s/[[:space:]]+$//"
}

# setting NAME DEFAULT prints the value of a setting.
setting() {
  if [[ -n ${!1+set} ]]; then
    printf '%s' "${!1}"
  elif in_env_file "$1"; then
    from_env_file "$1"
  else
    printf '%s' "$2"
  fi
}

# secret NAME prints a secret of .env, and fails when it has no value.
secret() {
  local value
  value=$(setting "$1" "")
  [[ -n $value ]] || die "$1 has no value in $env_file: give it one, or remove the line and it gets one at random"
  [[ $value =~ ^[A-Za-z0-9._~-]+$ ]] || die "$1 in $env_file has characters that do not fit into an address: use A-Z a-z 0-9 . _ ~ -"
  printf '%s' "$value"
}

# write_env_file adds the secrets that .env lacks. What is there stays, byte for byte.
write_env_file() {
  local name added=()
  [[ $(basename "$env_file") == .env ]] || die "DEPLOY_ENV_FILE=$env_file: the name has to be .env, which the programs read"
  mkdir -p "$(dirname "$env_file")"
  if [[ ! -e $env_file ]]; then
    (umask 077 && echo "# Secrets that deploy.sh made. Further settings: .env.example" >"$env_file")
  fi
  for name in "${secrets[@]}"; do
    in_env_file "$name" && continue
    # A file without a newline at its end would take the first secret into its last line.
    [[ -z $(tail -c1 "$env_file") ]] || echo >>"$env_file"
    echo "$name=$(head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n')" >>"$env_file"
    added+=("$name")
  done
  if [[ ${#added[@]} -gt 0 ]]; then
    chmod 600 "$env_file"
    say "wrote ${added[*]} to $env_file"
  fi
}

# load_ports sets and exports every port of port_table, for the programs here and for docker-compose.yml.
load_ports() {
  local name default value offset
  offset=$(setting DEPLOY_PORT_OFFSET 0)
  [[ $offset =~ ^[0-9]{1,5}$ ]] || die "DEPLOY_PORT_OFFSET=$offset: want a number from 0 to 50000"
  while read -r name default; do
    [[ -n $name ]] || continue
    value=$(setting "$name" "$default")
    [[ $value =~ ^[0-9]{1,5}$ && $((value + offset)) -ge 1 && $((value + offset)) -le 65535 ]] ||
      die "$name=$value with DEPLOY_PORT_OFFSET=$offset: want a port from 1 to 65535"
    printf -v "$name" '%d' $((value + offset))
    export "${name?}"
  done <<<"$port_table"
}

# load_settings reads what both ways to deploy need. Ports are loaded once: the offset is added to them.
# shellcheck disable=SC2034 # other parts use them
load_settings() {
  load_ports
  ops_token=$(secret OPS_TOKEN)
  postgres_password=$(secret POSTGRES_PASSWORD)
  redis_password=$(secret REDIS_PASSWORD)
  grafana_password=$(secret GRAFANA_ADMIN_PASSWORD)
  portal_token=$(setting DEPLOY_PORTAL_TOKEN "")
  timeout=$(setting DEPLOY_TIMEOUT 180)
  [[ $timeout =~ ^[1-9][0-9]{0,4}$ ]] || die "DEPLOY_TIMEOUT=$timeout: want seconds, 1 to 99999"
}
