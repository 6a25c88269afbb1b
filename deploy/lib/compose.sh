# shellcheck shell=bash
# shellcheck disable=SC2154 # deploy.sh sets what is common to all parts
# A plant of containers, by docker-compose.yml.

readonly compose_project=${COMPOSE_PROJECT_NAME:-industrial-iot-monitor}

# compose runs Docker Compose, version 2 or 1.28 and newer, with all profiles: commands name services.
compose() {
  "${compose_command[@]}" -p "$compose_project" -f "$root/docker-compose.yml" --env-file "$env_file" "$@"
}

# compose_tools fails unless Docker and Docker Compose are here and the Docker Engine answers.
compose_tools() {
  local -r hint="or run the plant without containers: deploy.sh --local $profile"
  command -v docker >/dev/null || die "docker is missing: install Docker (Debian: apt-get install docker.io docker-compose), $hint"
  command -v curl >/dev/null || die "curl is missing: apt-get install curl"
  if docker compose version >/dev/null 2>&1; then
    compose_command=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose_command=(docker-compose)
  else
    die "Docker Compose is missing (Debian: apt-get install docker-compose), $hint"
  fi
  docker info >/dev/null 2>&1 || die "the Docker Engine does not answer: start it, or use an account that may ($(docker info 2>&1 | tail -1 || true)), $hint"
}

# compose_export sets the variables of docker-compose.yml that depend on the profile.
compose_export() {
  export OPS_TOKEN=$ops_token POSTGRES_PASSWORD=$postgres_password REDIS_PASSWORD=$redis_password GRAFANA_ADMIN_PASSWORD=$grafana_password
  if [[ $profile != minimal ]]; then
    export DATABASE_URL="postgres://iot:$postgres_password@postgres:5432/iot?sslmode=disable" REDIS_URL="redis://:$redis_password@redis:6379/0"
  fi
  if [[ $profile == full ]]; then
    export HISTORY=victoriametrics HISTORY_URL=http://victoriametrics:8428 NOTIFY_ALERTMANAGER_URL=http://alertmanager:9093 OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318
  fi
}

compose_delete_group() {
  compose exec -T kafka /opt/kafka/bin/kafka-consumer-groups.sh --bootstrap-server kafka:19092 --delete --group "$1"
}

container_of() { compose --profile "$profile" ps -q "$1" 2>/dev/null | head -1; }

# containers prints the ids of all that run, to see what a run has changed.
containers() { docker ps -q --no-trunc --filter "label=com.docker.compose.project=$compose_project" | sort; }

compose_check() {
  [[ $profile != full || -f $root/deploy/prometheus/alertmanager.yml ]] ||
    die "deploy/prometheus/alertmanager.yml is missing: Alertmanager needs it"
}

compose_up() {
  local before name surplus=()
  compose_export
  before=$(containers)
  say "building the images and starting the containers"
  for name in $(all_services compose); do
    grep -qx "$name" <<<"$services" || surplus+=("$name")
  done
  if [[ ${#surplus[@]} -gt 0 ]]; then
    compose --profile full rm --stop --force "${surplus[@]}" >"$logs/compose.log" 2>&1 || die "stopping ${surplus[*]} failed: $(tail -5 "$logs/compose.log")"
  fi
  if [[ -s $state/history && $(<"$state/history") != $(history_engine "$profile" compose) ]]; then
    { compose stop core && compose up -d kafka; } >"$logs/compose.log" 2>&1 || die "stopping core failed: $(tail -5 "$logs/compose.log")"
    await_healthy kafka
  fi
  move_history
  compose --profile "$profile" up -d --build >"$logs/compose.log" 2>&1 || die "docker compose up failed:
$(tail -20 "$logs/compose.log")"
  [[ $(containers) == "$before" ]] || changed+=(containers)
}

compose_state() {
  local id found
  id=$(container_of "$1")
  [[ -n $id ]] || { echo stopped && return; }
  found=$(docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id" 2>/dev/null) || found=""
  case $found in
  "running healthy") echo healthy ;;
  "running starting") echo "starting: no health check has passed yet" ;;
  "running ") echo "unhealthy: it has no health check" ;;
  running*) echo "unhealthy: $(docker inspect -f '{{with .State.Health}}{{with .Log}}{{(index . 0).Output}}{{end}}{{end}}' "$id" | head -1)" ;;
  *) echo stopped ;;
  esac
}

compose_since() {
  local id
  id=$(container_of "$1")
  [[ -n $id ]] || return 1
  echo "$(date -d "$(docker inspect -f '{{.State.StartedAt}}' "$id")" '+%F %T') container ${id:0:8}"
}

compose_log_tail() { compose --profile "$profile" logs --no-color --tail="$2" "$1" 2>&1 || true; }

compose_down() {
  compose_export
  compose --profile full down >"$logs/compose.log" 2>&1 || die "docker compose down failed: $(tail -5 "$logs/compose.log")"
}

compose_remove_data() {
  compose --profile full down --volumes >"$logs/compose.log" 2>&1 || die "removing the volumes failed: $(tail -5 "$logs/compose.log")"
  rm -rf "${data:?}/"{log,state}
}

compose_log_command() { echo "${compose_command[*]} -p $compose_project -f $root/docker-compose.yml logs -f SERVICE"; }
