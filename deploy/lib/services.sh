# shellcheck shell=bash
# shellcheck disable=SC2154 # deploy.sh sets what is common to all parts
# The services of a plant: names, what each profile has of them, and how each runs as a process on this machine.

readonly programs=(bridge edge-a edge-b edge-c core portal sim)

# profile_services PROFILE BACKEND prints its services in the order in which they start.
profile_services() {
  local -r profile=$1 backend=$2
  echo kafka
  [[ $profile == minimal ]] || printf '%s\n' redis postgres
  if [[ $profile == full ]]; then history_engine full "$backend"; fi
  printf '%s\n' "${programs[@]}"
  [[ $profile == minimal ]] || echo prometheus
  [[ $profile == full ]] || return 0
  echo alertmanager
  [[ $backend == local ]] || printf '%s\n' grafana jaeger
}

# all_services BACKEND prints every service that any profile has.
all_services() { profile_services full "$1"; }

# left_out prints what a profile has in containers but not as local processes, with the reason.
left_out() {
  [[ $1 == full ]] || return 0
  echo "grafana Debian has no package of it"
  echo "jaeger Debian has no package of it"
}

# history_engine PROFILE BACKEND prints what keeps the history, as the setting HISTORY names it.
history_engine() {
  case "$1 $2" in
  "full local") echo influxdb ;;
  "full compose") echo victoriametrics ;;
  *) echo embedded ;;
  esac
}

# service_url NAME prints the address for people, if the service has a page.
service_url() {
  case $1 in
  portal) echo "http://127.0.0.1:$PORTAL_PORT" ;;
  prometheus) echo "http://127.0.0.1:$PROMETHEUS_PORT" ;;
  alertmanager) echo "http://127.0.0.1:$ALERTMANAGER_PORT" ;;
  grafana) echo "http://127.0.0.1:$GRAFANA_PORT" ;;
  jaeger) echo "http://127.0.0.1:$JAEGER_PORT" ;;
  victoriametrics) echo "http://127.0.0.1:$VICTORIAMETRICS_PORT" ;;
  esac
}

# service_ports NAME prints the variables of the ports on which its process listens.
service_ports() {
  local letter
  case $1 in
  kafka) echo KAFKA_PORT KAFKA_CONTROLLER_PORT ;;
  redis) echo REDIS_PORT ;;
  postgres) echo POSTGRES_PORT ;;
  influxdb) echo INFLUXDB_PORT INFLUXDB_RPC_PORT ;;
  bridge) echo HUB_PORT LEAF_PORT BRIDGE_OPS_PORT ;;
  edge-?) letter=$(tr a-c A-C <<<"${1#edge-}") && echo "EDGE_${letter}_NATS_PORT EDGE_${letter}_MQTT_PORT EDGE_${letter}_OPS_PORT" ;;
  core) echo CORE_OPS_PORT HISTORY_PORT ;;
  portal) echo PORTAL_PORT PORTAL_WS_PORT ;;
  sim) echo SIM_OPS_PORT ;;
  prometheus) echo PROMETHEUS_PORT ;;
  alertmanager) echo ALERTMANAGER_PORT ;;
  esac
}

# postgres_bin prints the directory of the newest PostgreSQL's programs.
postgres_bin() {
  find /usr/lib/postgresql -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1 | xargs -r dirname
}

# as_postgres: PostgreSQL refuses to run as root.
as_postgres() {
  if [[ $(id -u) -eq 0 ]]; then
    setpriv --reuid=postgres --regid=postgres --init-groups "$@"
  else
    "$@"
  fi
}

# describe NAME sets run, the command of a service, and vars, its variables. Kafka has kafka.sh.
describe() {
  local -r host=127.0.0.1
  local -r kafka=KAFKA_BROKERS=$host:$KAFKA_PORT hub=HUB_URL=nats://$host:$HUB_PORT
  run=() vars=()
  case $1 in
  kafka) run=("$root/deploy/kafka/kafka.sh" up) vars=(KAFKA_DATA_DIR="$data/kafka") ;;
  redis) run=(redis-server "$data/redis/redis.conf") ;;
  postgres)
    run=("$(postgres_bin)/postgres" -D "$data/postgres" -h "$host" -p "$POSTGRES_PORT" -c unix_socket_directories=)
    [[ $(id -u) -ne 0 ]] || run=(setpriv --reuid=postgres --regid=postgres --init-groups "${run[@]}")
    ;;
  influxdb) run=(influxd -config "$data/influxdb/influxdb.conf") ;;
  bridge)
    run=("$root/bin/bridge")
    vars=("$kafka" HUB_URL= BRIDGE_HUB_ADDR="$host:$HUB_PORT" BRIDGE_LEAF_ADDR="$host:$LEAF_PORT" BRIDGE_HTTP_ADDR="$host:$BRIDGE_OPS_PORT")
    ;;
  edge-a) describe_edge gw-a A栋 "$EDGE_A_NATS_PORT" "$EDGE_A_MQTT_PORT" "$EDGE_A_OPS_PORT" ;;
  edge-b) describe_edge gw-b B栋 "$EDGE_B_NATS_PORT" "$EDGE_B_MQTT_PORT" "$EDGE_B_OPS_PORT" ;;
  edge-c) describe_edge gw-c C栋 "$EDGE_C_NATS_PORT" "$EDGE_C_MQTT_PORT" "$EDGE_C_OPS_PORT" ;;
  core)
    run=("$root/bin/core")
    vars=("$kafka" "$hub" CORE_HTTP_ADDR="$host:$CORE_OPS_PORT" CORE_HISTORY_ADDR="$host:$HISTORY_PORT" CORE_DATA_DIR="$data/core"
      NOTIFY_EXTERNAL_URL="http://$host:$PORTAL_PORT")
    [[ $profile != full ]] || vars+=(HISTORY=influxdb "HISTORY_URL=http://$host:$INFLUXDB_PORT?db=plant"
      NOTIFY_ALERTMANAGER_URL="http://$host:$ALERTMANAGER_PORT")
    ;;
  portal)
    run=("$root/bin/portal")
    vars=("$kafka" "$hub" PORTAL_ADDR="$host:$PORTAL_PORT" WEBSOCKET_PORT="$PORTAL_WS_PORT" PORTAL_HISTORY_URL="http://$host:$HISTORY_PORT"
      PORTAL_STORE="$data/portal/portal.db")
    [[ $profile == minimal ]] || vars+=("DATABASE_URL=postgres://iot:$postgres_password@$host:$POSTGRES_PORT/iot?sslmode=disable"
      "REDIS_URL=redis://:$redis_password@$host:$REDIS_PORT/0")
    ;;
  sim)
    run=("$root/bin/sim" -nats="$host:$EDGE_A_NATS_PORT,$host:$EDGE_B_NATS_PORT,$host:$EDGE_C_NATS_PORT" -progress=30s)
    vars=(SIM_HTTP_ADDR="$host:$SIM_OPS_PORT")
    ;;
  prometheus)
    run=(prometheus --config.file="$data/prometheus/prometheus.yml" --storage.tsdb.path="$data/prometheus/tsdb"
      --web.listen-address="$host:$PROMETHEUS_PORT")
    ;;
  alertmanager)
    # Without the empty address it gossips and waits for others.
    run=(prometheus-alertmanager --config.file="$root/deploy/prometheus/alertmanager.yml" --storage.path="$data/alertmanager"
      --web.listen-address="$host:$ALERTMANAGER_PORT" --cluster.listen-address=)
    ;;
  esac
}

# describe_edge GATEWAY BUILDING NATS_PORT MQTT_PORT OPS_PORT is describe for one gateway.
describe_edge() {
  run=("$root/bin/edge")
  vars=(EDGE_GATEWAY_ID="$1" EDGE_BUILDING="$2" EDGE_NATS_ADDR=127.0.0.1:"$3" EDGE_MQTT_ADDR=127.0.0.1:"$4" EDGE_HTTP_ADDR=127.0.0.1:"$5"
    EDGE_HUB_URL=nats-leaf://127.0.0.1:"$LEAF_PORT" EDGE_DATA_DIR="$data/edge")
}

# prepare NAME writes what a service needs before it starts; again it changes nothing.
prepare() {
  case $1 in
  kafka | bridge | sim | edge-?) ;;
  postgres) prepare_postgres ;;
  redis)
    mkdir -p "$data/redis"
    write_private "$data/redis/redis.conf" "bind 127.0.0.1
port $REDIS_PORT
dir $data/redis
requirepass $redis_password
maxmemory 256mb
# Portals fill it again: nothing is kept.
save \"\"
appendonly no"
    ;;
  influxdb)
    mkdir -p "$data/influxdb"
    write_private "$data/influxdb/influxdb.conf" "reporting-disabled = true
bind-address = \"127.0.0.1:$INFLUXDB_RPC_PORT\"
[meta]
  dir = \"$data/influxdb/meta\"
[data]
  dir = \"$data/influxdb/data\"
  wal-dir = \"$data/influxdb/wal\"
  index-version = \"tsi1\"
  max-series-per-database = 0
  max-values-per-tag = 0
[http]
  bind-address = \"127.0.0.1:$INFLUXDB_PORT\"
  log-enabled = false"
    ;;
  prometheus)
    mkdir -p "$data/prometheus"
    write_private "$data/prometheus/ops_token" "$ops_token"
    write_private "$data/prometheus/prometheus.yml" "$(prometheus_config)"
    ;;
  *) mkdir -p "$data/$1" ;;
  esac
}

# prometheus_config prints deploy/prometheus/prometheus.yml with the addresses of local processes.
prometheus_config() {
  local alertmanagers='static_configs: []'
  [[ $profile != full ]] || alertmanagers="static_configs: [{targets: [\"127.0.0.1:$ALERTMANAGER_PORT\"]}]"
  sed -e "s|rules/\*\.yml|$root/deploy/prometheus/&|" -e "s|/run/secrets/ops_token|$data/prometheus/ops_token|" \
    -e "s|dns_sd_configs: \[{names: \[alertmanager\].*|$alertmanagers|" \
    -e "s|edge-a:9101|127.0.0.1:$EDGE_A_OPS_PORT|" -e "s|edge-b:9101|127.0.0.1:$EDGE_B_OPS_PORT|" -e "s|edge-c:9101|127.0.0.1:$EDGE_C_OPS_PORT|" \
    -e "s|bridge:9102|127.0.0.1:$BRIDGE_OPS_PORT|" -e "s|core:9103|127.0.0.1:$CORE_OPS_PORT|" -e "s|portal:8080|127.0.0.1:$PORTAL_PORT|" \
    -e "s|sim:9104|127.0.0.1:$SIM_OPS_PORT|" -e "s|prometheus:9090|127.0.0.1:$PROMETHEUS_PORT|" \
    "$root/deploy/prometheus/prometheus.yml"
}

prepare_postgres() {
  local -r dir=$data/postgres
  [[ ! -e $dir/PG_VERSION ]] || return 0
  mkdir -p "$dir"
  chmod 700 "$dir"
  [[ $(id -u) -ne 0 ]] || chown postgres: "$dir"
  as_postgres test -w "$dir" || die "the user postgres cannot reach $dir, as PostgreSQL does not run as root:
let others pass the directories above it (chmod o+x), or set DEPLOY_DIR to a directory elsewhere"
  write_private "$data/postgres.password" "$postgres_password"
  [[ $(id -u) -ne 0 ]] || chown postgres: "$data/postgres.password"
  as_postgres "$(postgres_bin)/initdb" -D "$dir" -U iot --pwfile="$data/postgres.password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
    >"$logs/initdb.log" 2>&1 || die "initdb failed: $(tail -3 "$logs/initdb.log")"
  rm "$data/postgres.password"
}

# query_postgres DATABASE SQL asks it by its port, with the password.
query_postgres() {
  PGPASSWORD=$postgres_password PGCONNECT_TIMEOUT=3 psql -h 127.0.0.1 -p "$POSTGRES_PORT" -U iot -d "$1" -AtXqc "$2"
}

# after_start NAME does what a service needs once it answers; again it changes nothing.
after_start() {
  case $1 in
  postgres)
    [[ $(query_postgres postgres "select count(*) from pg_database where datname = 'iot'") == 1 ]] ||
      query_postgres postgres 'create database iot'
    ;;
  influxdb)
    curl -sS --fail --max-time 10 -o /dev/null "http://127.0.0.1:$INFLUXDB_PORT/query" --data-urlencode 'q=create database plant'
    ;;
  esac
}

# write_private FILE TEXT writes a file that its owner alone reads, if it differs.
write_private() {
  [[ -f $1 && $(<"$1") == "$2" ]] || (umask 077 && printf '%s\n' "$2" >"$1")
}

# probe NAME asks a local process whether it works; it prints the reason when not.
probe() {
  local answer
  case $1 in
  kafka) port_open "$KAFKA_PORT" || { echo "port $KAFKA_PORT does not answer" && return 1; } ;;
  redis)
    answer=$(REDISCLI_AUTH=$redis_password timeout 5 redis-cli -h 127.0.0.1 -p "$REDIS_PORT" ping 2>&1) || true
    [[ $answer == PONG ]] || { echo "$answer" && return 1; }
    ;;
  postgres) query_postgres postgres 'select 1' 2>&1 >/dev/null | tail -1 | grep . && return 1 || return 0 ;;
  influxdb) ask "http://127.0.0.1:$INFLUXDB_PORT/ping" ;;
  bridge) ask "http://127.0.0.1:$BRIDGE_OPS_PORT/readyz" ;;
  edge-a) ask "http://127.0.0.1:$EDGE_A_OPS_PORT/readyz" ;;
  edge-b) ask "http://127.0.0.1:$EDGE_B_OPS_PORT/readyz" ;;
  edge-c) ask "http://127.0.0.1:$EDGE_C_OPS_PORT/readyz" ;;
  core) ask "http://127.0.0.1:$CORE_OPS_PORT/readyz" ;;
  portal) ask "http://127.0.0.1:$PORTAL_PORT/readyz" ;;
  sim) ask "http://127.0.0.1:$SIM_OPS_PORT/readyz" ;;
  prometheus) ask "http://127.0.0.1:$PROMETHEUS_PORT/-/ready" ;;
  alertmanager) ask "http://127.0.0.1:$ALERTMANAGER_PORT/-/ready" ;;
  esac
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ask URL succeeds when the answer is 2xx, and prints the answer otherwise.
ask() {
  local answer
  if ! answer=$(curl -sS --max-time 5 -w '\n%{http_code}' "$1" 2>&1); then
    echo "${answer%%$'\n'*}"
    return 1
  fi
  [[ ${answer##*$'\n'} == 2?? ]] || { echo "${answer%%$'\n'*}" && return 1; }
}
