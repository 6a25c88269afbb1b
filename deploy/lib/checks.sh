# shellcheck shell=bash
# shellcheck disable=SC2154 # deploy.sh sets what is common to all parts
# What deploy.sh looks at: health of every service, one reading through the whole chain, Prometheus' targets.

readonly check_device=deploy_check

# state_of NAME prints healthy, stopped or "unhealthy: reason", and so on for the other functions of a backend.
state_of() { "${backend}_state" "$1"; }

# await_healthy NAME waits until a service is healthy, until the deadline or the end of its process.
await_healthy() {
  local -r name=$1
  local found
  while found=$(state_of "$name") && [[ $found != healthy ]]; do
    [[ $found != stopped || $backend != local ]] || break
    [[ $SECONDS -lt $deadline ]] || break
    sleep 0.3
  done
  [[ $found == healthy ]] && return
  echo "deploy: $name is not healthy: $found; the end of its log:" >&2
  "${backend}_log_tail" "$name" 20 >&2
  exit 1
}

await_all() {
  local name
  for name in $services; do
    await_healthy "$name"
  done
}

# portal_ask PATH [OPTION…] asks the portal, with DEPLOY_PORTAL_TOKEN if it is set.
portal_ask() {
  local -r path=$1
  shift
  local -a header=()
  [[ -z $portal_token ]] || header=(-H "Authorization: Bearer $portal_token")
  curl -sS --max-time 10 "${header[@]}" "$@" "http://127.0.0.1:$PORTAL_PORT$path"
}

# send_reading VALUE sends a reading to the first gateway by NATS and waits for its answer: the reading is on disk.
send_reading() {
  local -r LC_ALL=C # lengths in bytes
  local reading answer line nats
  reading="{\"device_id\":\"$check_device\",\"timestamp\":$(date +%s%3N),\"location\":{\"building\":\"A栋\"},\"sensors\":{\"deploy_check\":{\"value\":$1}}}"
  exec {nats}<>"/dev/tcp/127.0.0.1/$EDGE_A_NATS_PORT" || die "gateway edge-a does not answer on port $EDGE_A_NATS_PORT"
  printf 'CONNECT {"verbose":false,"pedantic":false,"name":"deploy.sh"}\r\nSUB _INBOX.deploy 1\r\nPUB devices.%s.telemetry _INBOX.deploy %d\r\n%s\r\n' \
    "$check_device" "${#reading}" "$reading" >&"$nats"
  while IFS= read -r -t 10 line <&"$nats"; do
    case $line in
    MSG*)
      IFS= read -r -t 10 answer <&"$nats"
      break
      ;;
    -ERR*) die "gateway edge-a refused the connection: ${line%$'\r'}" ;;
    PING*) printf 'PONG\r\n' >&"$nats" ;;
    esac
  done
  exec {nats}>&-
  [[ -n ${answer:-} ]] || die "gateway edge-a has not answered a reading within 10 s"
  [[ $answer == *'"seq":'* ]] || die "gateway edge-a refused a reading: ${answer%$'\r'}"
}

# move_history lets another engine than before begin. Core refuses to, as long as its consumer group says which
# engine has the readings; without the group the new one reads all that Kafka still has. Core must not run.
move_history() {
  local engine group before
  engine=$(history_engine "$profile" "$backend")
  before=$(cat "$state/history" 2>/dev/null || echo "$engine")
  if [[ $before != "$engine" ]]; then
    group=$(setting KAFKA_GROUP_ID iot-consumer-group)-history
    say "the history moves from $before to $engine, which reads from Kafka what that still has"
    # A core that was killed is a member until its session ends.
    until "${backend}_delete_group" "$group" >"$logs/move-history.log" 2>&1 && ! grep -q "Error" "$logs/move-history.log"; do
      ! grep -q GroupIdNotFound "$logs/move-history.log" || break
      [[ $SECONDS -lt $deadline ]] || die "the consumer group $group could not be deleted: $(tail -3 "$logs/move-history.log")"
      sleep 1
    done
  fi
  echo "$engine" >"$state/history"
}

# check_reading sends one reading of a device of its own and looks for it at the portal; then it removes the device.
check_reading() {
  local value begin answer series
  value=$(($(date +%s) % 1000000)) # the history answers with seven digits
  begin=$(date +%s%3N)
  send_reading "$value"
  until answer=$(portal_ask "/api/v1/devices/$check_device" 2>&1) && grep -q "\"value\":${value}[,}]" <<<"$answer"; do
    [[ $SECONDS -lt $deadline ]] || die "the reading that edge-a stored has not come to the portal; it says: ${answer:0:300}"
    [[ $answer != *'"code":"unauthorized"'* ]] ||
      die "people have to sign in at the portal: set DEPLOY_PORTAL_TOKEN to a token of 'portal token add' with the role operator"
    sleep 0.02
  done
  say "a reading came from gateway edge-a to the portal in $(($(date +%s%3N) - begin)) ms"
  series="/api/v1/devices/$check_device/series?parameters=deploy_check&points=10&from=$((begin - 60000))&to=$((begin + 60000))"
  until answer=$(portal_ask "$series" 2>&1) && grep -qE "[[,]${value}[],]" <<<"$answer"; do
    [[ $SECONDS -lt $deadline ]] || die "the reading is not in the history; the portal says: ${answer:0:300}"
    sleep 0.2
  done
  say "the history has it, too"
  answer=$(portal_ask "/api/v1/devices/$check_device" -X DELETE -H 'X-Operator: deploy.sh' -w '\n%{http_code}') || true
  [[ ${answer##*$'\n'} == 20? ]] || say "device $check_device stays in the list, removing it failed: ${answer:0:300}"
}

# check_stores: the portal reaches the database and the Redis that the profile gives it.
check_stores() {
  local metrics name
  [[ $profile != minimal ]] || return 0
  for name in portal_store_up portal_redis_up; do
    until metrics=$(curl -sS --max-time 10 -H "Authorization: Bearer $ops_token" "http://127.0.0.1:$PORTAL_PORT/metrics" 2>&1) &&
      grep -q "^$name 1$" <<<"$metrics"; do
      [[ $SECONDS -lt $deadline ]] || die "$name is not 1 at the portal: $(grep "^$name" <<<"$metrics" || echo "${metrics:0:200}"); see its log"
      sleep 0.3
    done
  done
  say "the portal uses PostgreSQL and Redis"
}

# check_targets waits until Prometheus has scraped every target.
check_targets() {
  local answer down count
  [[ $profile != minimal ]] || return 0
  while true; do
    answer=$(curl -sS --max-time 10 "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query?query=up" 2>&1) || true
    # One line a series: {"metric":{"__name__":"up","instance":"core","job":"core"},"value":[1767225600.1,"1"]}
    answer=${answer//'{"metric"'/$'\n{"metric"'}
    count=$(sed -n '/"instance"/p' <<<"$answer" | wc -l)
    down=$(sed -nE '/,"1"\]/!s/.*"instance":"([^"]*)".*/\1/p' <<<"$answer" | paste -sd' ' -)
    [[ -n $down || $count -lt $(expected_targets) ]] || break
    [[ $SECONDS -lt $deadline ]] || die "Prometheus has $count of $(expected_targets) targets, not up: ${down:-none}; see http://127.0.0.1:$PROMETHEUS_PORT/targets"
    sleep 0.5
  done
  say "Prometheus scrapes all $count targets"
}

# expected_targets: every program, Prometheus itself, and Alertmanager if it is there.
expected_targets() { if [[ $profile == full ]]; then echo $((${#programs[@]} + 2)); else echo $((${#programs[@]} + 1)); fi; }

# print_status prints the table, and fails if a service that was deployed is not healthy.
print_status() {
  local name found since failed=0 row="%-16s %-10s %-40s %s\n"
  # shellcheck disable=SC2059 # the format of all rows
  printf "$row" service state since url
  for name in $services; do
    found=$(state_of "$name")
    since=$("${backend}_since" "$name") || since=-
    # shellcheck disable=SC2059
    printf "$row" "$name" "${found%%:*}" "$since" "$(service_url "$name")"
    if [[ $found != healthy ]]; then
      failed=1
      echo "  $name is $found" >&2
    fi
  done
  [[ $backend == local ]] || return "$failed"
  left_out "$profile" | while read -r name found; do
    # shellcheck disable=SC2059
    printf "$row" "$name" "not started" "$found" ""
  done
  return "$failed"
}
