#!/usr/bin/env bash
# The plant by one command, in containers or as local processes: see usage below and docs/deployment.md.
set -Eeuo pipefail
trap 'echo "deploy: \"$BASH_COMMAND\" failed (${BASH_SOURCE[0]}, line $LINENO)" >&2' ERR

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
data=${DEPLOY_DIR:-$root/data/deploy}
env_file=${DEPLOY_ENV_FILE:-$root/.env}

# shellcheck source=deploy/lib/env.sh
source "$root/deploy/lib/env.sh"
# shellcheck source=deploy/lib/services.sh
source "$root/deploy/lib/services.sh"
# shellcheck source=deploy/lib/checks.sh
source "$root/deploy/lib/checks.sh"
# shellcheck source=deploy/lib/local.sh
source "$root/deploy/lib/local.sh"
# shellcheck source=deploy/lib/compose.sh
source "$root/deploy/lib/compose.sh"

usage() {
  cat <<TEXT
usage: deploy.sh [--local] [--install] minimal|recommended|full
       deploy.sh status|test|down [--data] [--yes]
  minimal      Apache Kafka, three gateways, bridge, core, portal, simulated devices
  recommended  and PostgreSQL, Redis, Prometheus
  full         and Alertmanager, Grafana, Jaeger, and an engine that keeps the history
  status       a table of the services; code 1 if one is not healthy
  test         status, one reading from a gateway to the portal, and Prometheus' targets
  down         stop everything; the data stays, with --data it is removed
  --local      processes on this machine from Debian packages, in place of containers
  --install    install the packages that are missing (with --local)
  --yes        do not ask before data is removed
variables, also in .env:
  DEPLOY_PORT_OFFSET=0   added to every port, for a second plant on this machine
  DEPLOY_TIMEOUT=180     seconds in which everything has to be healthy
  DEPLOY_PORTAL_TOKEN    a token for the portal, where people have to sign in (PORTAL_AUTH)
  PORTAL_PORT=8080 …     single ports: deploy/lib/env.sh lists them
  DEVICE_COUNT=1000      simulated devices, and all else in .env.example
variables, in the environment alone:
  DEPLOY_DIR=data/deploy        data, logs and pid files
  DEPLOY_ENV_FILE=.env          settings and the secrets that are made if they are missing
  COMPOSE_PROJECT_NAME          first part of the containers' names
TEXT
}

say() { echo "deploy: $*"; }

die() {
  echo "deploy: $*" >&2
  exit 1
}

misuse() {
  echo "deploy: $*" >&2
  usage >&2
  exit 2
}

# read_arguments sets command, backend, install, remove_data and yes.
read_arguments() {
  command="" backend=compose install=no remove_data=no yes=no
  local argument
  for argument in "$@"; do
    case $argument in
    --local) backend=local ;;
    --install) install=yes ;;
    --data) remove_data=yes ;;
    --yes) yes=yes ;;
    -h | --help | help)
      usage
      exit 0
      ;;
    minimal | recommended | full | status | test | down)
      [[ -z $command ]] || misuse "$command and $argument: one of them"
      command=$argument
      ;;
    *) misuse "unknown argument $argument" ;;
    esac
  done
  [[ -n $command ]] || misuse "say which profile, or status, test or down"
  [[ $install == no || $backend == local ]] || misuse "--install is for --local: containers need no packages"
  [[ $remove_data == no || $command == down ]] || misuse "--data is for down"
}

# open_data makes the directories and keeps a second deploy.sh away from them.
open_data() {
  mkdir -p "$data"
  data=$(cd "$data" && pwd)
  state=$data/state logs=$data/log
  mkdir -p "$state" "$logs"
  if command -v flock >/dev/null; then
    exec {lock}>"$data/lock"
    flock -n "$lock" || die "another deploy.sh works with $data: wait until it has ended"
  else
    exec {lock}>/dev/null
  fi
}

# read_deployed sets backend and profile as they were deployed, and ends if nothing is.
read_deployed() {
  local file=$state/deployed
  # The data of a stopped plant can still be removed.
  [[ $remove_data == no || -s $file ]] || file=$state/stopped
  if [[ ! -s $file ]]; then
    [[ $command == down ]] || die "nothing is deployed in $data: deploy.sh minimal, recommended or full does it"
    say "nothing is deployed in $data"
    exit
  fi
  read -r backend profile <"$file"
}

deploy() {
  local was
  services=$(profile_services "$profile" "$backend")
  was=$(cat "$state/deployed" 2>/dev/null || true)
  [[ -z $was || ${was% *} == "$backend" ]] || die "the plant runs as ${was/ /, }: stop it first (deploy.sh down)"
  "${backend}_check"
  deadline=$((SECONDS + timeout))
  echo "$backend $profile" >"$state/deployed"
  rm -f "$state/stopped"
  "${backend}_up"
  deadline=$((SECONDS + timeout)) # building and downloading is not the services' time
  await_all
  if [[ ${#changed[@]} -eq 0 ]]; then
    say "nothing to change: $(wc -w <<<"$services") services run and are healthy"
  else
    say "changed: ${changed[*]}"
    check_reading
    check_stores
    check_targets
  fi
  print_addresses
}

print_addresses() {
  local name url
  for name in $services; do
    url=$(service_url "$name")
    if [[ -n $url ]]; then printf '  %-16s %s\n' "$name" "$url"; fi
  done
  [[ $profile != full || $backend == local ]] || echo "  Grafana: user admin, password GRAFANA_ADMIN_PASSWORD of $env_file"
  echo "  devices: NATS 127.0.0.1:$EDGE_A_NATS_PORT, MQTT 127.0.0.1:$EDGE_A_MQTT_PORT"
  echo "  status:  $0 status"
  echo "  logs:    $("${backend}_log_command")"
  echo "  stop:    $0 down"
}

run_test() {
  deadline=$((SECONDS + timeout))
  print_status || die "not all services are healthy"
  check_reading
  check_stores
  check_targets
}

take_down() {
  if [[ $remove_data == yes && $yes == no ]]; then
    local answer=""
    read -r -p "deploy: remove all data of this plant, $backend in $data? [yes/no] " answer || true
    [[ $answer == yes ]] || die "nothing was stopped or removed"
  fi
  "${backend}_down"
  if [[ $remove_data == yes ]]; then
    "${backend}_remove_data"
    say "everything is stopped, the data is removed; $env_file stays"
    return
  fi
  mv "$state/deployed" "$state/stopped"
  say "everything is stopped, the data stays (down --data removes it)"
}

main() {
  changed=() compose_command=() profile="" services=""
  read_arguments "$@"
  open_data
  case $command in
  minimal | recommended | full)
    profile=$command
    "${backend}_tools"
    write_env_file
    load_settings
    deploy
    return
    ;;
  esac
  read_deployed
  load_settings
  services=$(profile_services "$profile" "$backend")
  if [[ $backend == compose ]]; then
    compose_tools
    compose_export
  fi
  case $command in
  status) print_status || exit 1 ;;
  test) run_test ;;
  down) take_down ;;
  esac
}

main "$@"
