#!/usr/bin/env bash
# deploy.sh with local processes: the profile recommended is started, started again, broken, mended and
# stopped, beside whatever runs on the usual ports. It installs the Debian packages that are missing, keeps its
# data in a directory of its own, and leaves nothing behind.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

work=$(mktemp -d)
chmod 755 "$work" # PostgreSQL runs as another user
export DEPLOY_DIR=$work/plant DEPLOY_ENV_FILE=$work/.env
export DEPLOY_PORT_OFFSET=${TEST_DEPLOY_PORT_OFFSET:-11000} DEPLOY_TIMEOUT=120 DEVICE_COUNT=50
log=$work/output
test="" begin=0

finish() {
  local -r status=$?
  trap - EXIT
  if [[ $status -ne 0 && -n $test ]]; then
    echo "--- FAIL: $test"
    cat "$log"
  fi
  deploy/deploy.sh down --data --yes >/dev/null 2>&1 || echo "test-deploy: deploy.sh down failed, see $work" >&2
  compgen -G "$DEPLOY_DIR/state/*.pid" >/dev/null || rm -rf "$work"
  exit "$status"
}
trap finish EXIT

# start NAME begins a test, and reports the one before it as passed.
start() {
  pass
  test=$1 begin=$SECONDS
}

pass() { if [[ -n $test ]]; then echo "--- PASS: $test ($((SECONDS - begin)) s)"; fi; }

fail() {
  echo "test-deploy: $*" >&2
  exit 1
}

# plant runs deploy.sh and keeps its output.
plant() { deploy/deploy.sh "$@" >"$log" 2>&1; }

# refused CODE ARGUMENT… fails unless deploy.sh ends with that code.
refused() {
  local -r want=$1
  shift
  local got=0
  plant "$@" || got=$?
  [[ $got -eq $want ]] || fail "deploy.sh $* ended with code $got, want $want"
}

says() { grep -qF -- "$1" "$log" || fail "the output lacks: $1"; }

# pids prints the pid of every service, a line each.
pids() { (cd "$DEPLOY_DIR/state" && grep -H . ./*.pid | cut -d' ' -f1); }

pid_of() { cut -d' ' -f1 "$DEPLOY_DIR/state/$1.pid"; }

start "an unknown argument is refused with the usage"
refused 2 --local everything
says "unknown argument everything"
says "usage: deploy.sh"

start "nothing is deployed before the first run"
refused 1 status
says "nothing is deployed"

start "one command starts the profile recommended"
plant --local --install recommended
says "a reading came from gateway edge-a to the portal"
says "the portal uses PostgreSQL and Redis"
says "Prometheus scrapes all 8 targets"
[[ $(stat -c %a "$DEPLOY_ENV_FILE") == 600 ]] || fail "others can read $DEPLOY_ENV_FILE"
[[ $(pids | wc -l) -eq 11 ]] || fail "want 11 services: $(pids)"
cat "$log"

start "a second run changes nothing"
pids_before=$(pids)
env_before=$(cat "$DEPLOY_ENV_FILE")
plant --local recommended
says "nothing to change"
[[ $(pids) == "$pids_before" ]] || fail "other processes than before: $(diff <(echo "$pids_before") <(pids))"
[[ $(cat "$DEPLOY_ENV_FILE") == "$env_before" ]] || fail "$DEPLOY_ENV_FILE was changed"

start "status and test succeed while all is well"
plant status
plant test
says "a reading came from gateway edge-a to the portal"

start "a second plant on the same ports is refused before anything starts"
DEPLOY_DIR=$work/second refused 1 --local minimal
says "PORTAL_PORT=$((8080 + DEPLOY_PORT_OFFSET)) (portal)"
[[ -z $(ls "$work/second/state") ]] || fail "it left something: $(ls "$work/second/state")"

start "a killed program is named by status and test"
kill -9 "$(pid_of core)"
refused 1 status
says "core is stopped"
! grep -E "^  (kafka|redis|postgres|bridge|edge-.|portal|sim|prometheus) is stopped" "$log" || fail "status names more than core"
refused 1 test

start "the profile again starts what was killed, and only that"
plant --local recommended
says "changed: core"
says "a reading came from gateway edge-a to the portal"
[[ $(pids | grep -v '/core') == "$(grep -v '/core' <<<"$pids_before")" ]] || fail "other processes than core changed: $(diff <(echo "$pids_before") <(pids))"
plant test

start "a changed secret of .env stays, and restarts what uses it"
sed -i 's/^OPS_TOKEN=.*/OPS_TOKEN=another-token/' "$DEPLOY_ENV_FILE"
portal_before=$(pid_of portal) redis_before=$(pid_of redis)
plant --local recommended
grep -qx 'OPS_TOKEN=another-token' "$DEPLOY_ENV_FILE" || fail "OPS_TOKEN was overwritten"
[[ $(pid_of portal) != "$portal_before" ]] || fail "the portal still has the former token"
[[ $(pid_of redis) == "$redis_before" ]] || fail "Redis was restarted"
says "Prometheus scrapes all 8 targets"

start "a smaller profile stops what it does not have"
plant --local minimal
says "prometheus: not in the profile minimal, stopping"
[[ $(pids | wc -l) -eq 8 ]] || fail "want 8 services: $(pids)"

start "down leaves no process and keeps the data"
pids_before=$(pids)
plant down
while IFS=: read -r name pid; do
  [[ $(ps -o stat= -p "$pid") =~ ^(Z|$) ]] || fail "$name still runs, pid $pid: $(ps -o args= -p "$pid")"
done <<<"$pids_before"
[[ -f $DEPLOY_DIR/postgres/PG_VERSION && -d $DEPLOY_DIR/kafka ]] || fail "data is gone"
plant down
says "nothing is deployed"

start "down --data asks, and removes the data"
refused 1 down --data </dev/null
[[ -d $DEPLOY_DIR/kafka ]] || fail "data was removed without an answer"
plant down --data --yes
[[ ! -e $DEPLOY_DIR/kafka && ! -e $DEPLOY_DIR/postgres && ! -e $DEPLOY_DIR/edge ]] || fail "data is left: $(ls "$DEPLOY_DIR")"
[[ $(cat "$DEPLOY_ENV_FILE") == *POSTGRES_PASSWORD=* ]] || fail "$DEPLOY_ENV_FILE is gone"

pass
test=""
