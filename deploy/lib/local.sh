# shellcheck shell=bash
# shellcheck disable=SC2154 # deploy.sh sets what is common to all parts
# A plant of processes on this machine. For each: DIR/state/NAME.pid with its pid and start time, NAME.spec with
# a checksum of its program and settings, and DIR/log/NAME.log.

# local_missing PROFILE prints the Debian packages of the tools that are missing.
local_missing() {
  local tool package from
  while read -r tool package from; do
    [[ $from == minimal || $1 != minimal ]] || continue
    [[ $from != full || $1 == full ]] || continue
    if [[ $tool == postgres ]]; then
      [[ -n $(postgres_bin) ]] || echo "$package"
    else
      command -v "$tool" >/dev/null || echo "$package"
    fi
  done <<'TOOLS'
curl curl minimal
ps procps minimal
flock util-linux minimal
make make minimal
java openjdk-17-jre-headless minimal
mvn maven minimal
redis-server redis-server recommended
redis-cli redis-tools recommended
postgres postgresql recommended
psql postgresql-client recommended
prometheus prometheus recommended
influxd influxdb full
prometheus-alertmanager prometheus-alertmanager full
TOOLS
}

as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi; }

# local_tools says what the profile lacks here, and installs the packages that are missing if $install is yes.
local_tools() {
  local name reason
  local -a packages
  left_out "$profile" | while read -r name reason; do
    say "left out here: $name ($reason; the profile has it in containers)"
  done
  mapfile -t packages < <(local_missing "$profile")
  if [[ ${#packages[@]} -gt 0 ]]; then
    [[ $install == yes ]] || die "these packages are missing; --install installs them, or do it yourself:
  apt-get install -y --no-install-recommends ${packages[*]}"
    say "installing ${packages[*]}"
    { as_root apt-get -q update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${packages[@]}"; } \
      >"$logs/apt.log" 2>&1 || die "apt-get could not install ${packages[*]}: $(tail -5 "$logs/apt.log")"
  fi
  [[ $profile != full || -f $root/deploy/prometheus/alertmanager.yml ]] ||
    die "deploy/prometheus/alertmanager.yml is missing: Alertmanager needs it"
}

# local_check_ports fails when another program has a port of a service that does not run yet.
local_check_ports() {
  local name port taken=()
  for name in $services; do
    ! local_pid "$name" >/dev/null || continue
    for port in $(service_ports "$name"); do
      ! port_open "${!port}" || taken+=("$port=${!port} ($name)")
    done
  done
  [[ ${#taken[@]} -eq 0 ]] || die "other programs use these ports: ${taken[*]}
set the variables to other ports, or DEPLOY_PORT_OFFSET to move all of them"
}

# local_build builds the programs. Without Go those in bin are taken.
local_build() {
  local program lacking=()
  if command -v go >/dev/null; then
    say "building the programs"
    make -s -C "$root" build >"$logs/build.log" 2>&1 || die "make build failed: $(tail -20 "$logs/build.log")"
    return
  fi
  for program in edge bridge core portal sim; do
    [[ -x $root/bin/$program ]] || lacking+=("bin/$program")
  done
  [[ ${#lacking[@]} -eq 0 ]] ||
    die "Go is missing and so is ${lacking[*]}: install the version of Go that go.mod names, and Node.js 20 or newer with npm"
  say "Go is missing: taking the programs in $root/bin as they are"
}

# started_at PID prints when a process started, in ticks since boot: a pid may be used again.
started_at() { sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# local_pid NAME prints the pid of a service that runs.
local_pid() {
  local pid ticks
  read -r pid ticks 2>/dev/null <"$state/$1.pid" || return 1
  [[ -n $ticks && $(started_at "$pid") == "$ticks" ]] || return 1
  echo "$pid"
}

record_pid() { echo "$2 $(started_at "$2")" >"$state/$1.pid"; }

# spec prints the checksum of everything that a service starts with: its program, settings, and files.
spec() {
  local -r name=$1
  local file
  {
    printf '%s\n' "${run[@]}" "${vars[@]}"
    case $name in
    kafka) printf '%s\n' "$KAFKA_PORT" "$KAFKA_CONTROLLER_PORT" ;;
    redis) cat "$data/redis/redis.conf" ;;
    postgres) ;;
    influxdb) cat "$data/influxdb/influxdb.conf" ;;
    prometheus) find "$data/prometheus/prometheus.yml" "$data/prometheus/ops_token" "$root/deploy/prometheus" -maxdepth 2 -type f | sort | xargs -d '\n' cat ;;
    alertmanager) cat "$root/deploy/prometheus/alertmanager.yml" ;;
    *)
      cat "${run[0]}" "$env_file"
      # What else a program may take from this shell's environment.
      sed -n 's/^#\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$root/.env.example" | sort -u | while read -r file; do
        if [[ -n ${!file+set} ]]; then echo "$file=${!file}"; fi
      done
      ;;
    esac
  } | sha256sum | cut -d' ' -f1
}

# local_start NAME starts a service unless it runs with the same program and settings.
local_start() {
  local -r name=$1
  local pid sum
  local -a run vars
  prepare "$name"
  describe "$name"
  sum=$(spec "$name")
  if pid=$(local_pid "$name"); then
    [[ $(cat "$state/$name.spec" 2>/dev/null) != "$sum" ]] || return 0
    say "$name: its program or settings changed, restarting"
    local_stop "$name"
  fi
  [[ $name != core ]] || move_history
  if [[ $name == kafka ]]; then
    # kafka.sh waits until it answers. Its output has the reason if it does not.
    (exec {lock}>&- && KAFKA_DATA_DIR=$data/kafka "${run[@]}" >"$logs/kafka.sh.log" 2>&1) || die "Kafka did not start: $(tail -20 "$logs/kafka.sh.log")"
    pid=$(<"$data/kafka/kafka.pid")
  else
    rotate_log "$name"
    (exec {lock}>&- && cd "$(dirname "$env_file")" && exec setsid env "${vars[@]}" "${run[@]}" </dev/null >>"$logs/$name.log" 2>&1) &
    pid=$!
  fi
  record_pid "$name" "$pid"
  echo "$sum" >"$state/$name.spec"
  changed+=("$name")
}

# local_stop NAME stops a service and waits until it is gone.
local_stop() {
  local -r name=$1
  local pid signal=TERM tenths
  if ! pid=$(local_pid "$name"); then
    rm -f "$state/$name".{pid,spec}
    return
  fi
  # A shutdown of PostgreSQL by TERM waits for its clients.
  [[ $name != postgres ]] || signal=INT
  kill -"$signal" "$pid"
  for ((tenths = 0; tenths < 300; tenths++)); do
    if ! local_pid "$name" >/dev/null; then
      rm -f "$state/$name".{pid,spec}
      [[ $name != kafka ]] || rm -f "$data/kafka/kafka.pid"
      return
    fi
    sleep 0.1
  done
  die "$name (pid $pid) has not stopped within 30 s; see $(local_log "$name")"
}

# rotate_log NAME sets a large log aside before its service starts.
rotate_log() {
  local -r log=$logs/$1.log
  [[ $(stat -c %s "$log" 2>/dev/null || echo 0) -lt 50000000 ]] || mv "$log" "$log.1"
}

local_log() { if [[ $1 == kafka ]]; then echo "$data/kafka/kafka.log"; else echo "$logs/$1.log"; fi; }

local_log_tail() { tail -n "$2" "$(local_log "$1")" 2>/dev/null || true; }

# local_state NAME prints "healthy", "stopped" or "unhealthy: reason".
local_state() {
  local reason
  if ! local_pid "$1" >/dev/null; then
    echo stopped
  elif reason=$(probe "$1"); then
    echo healthy
  else
    echo "unhealthy: ${reason:-no answer}"
  fi
}

# local_since NAME prints when it started, and its pid.
local_since() {
  local pid
  pid=$(local_pid "$1") && echo "$(date -d "$(ps -o lstart= -p "$pid")" '+%F %T') pid $pid"
}

# local_check does what else can fail before anything is started.
local_check() {
  local_check_ports
  local_build
}

local_up() {
  local name
  for name in $(all_services local | tac); do
    if ! grep -qx "$name" <<<"$services" && local_pid "$name" >/dev/null; then
      say "$name: not in the profile $profile, stopping"
      local_stop "$name"
      changed+=("$name")
    fi
  done
  for name in $services; do
    local_start "$name"
    # Databases have to answer before the plant's tables can be made in them.
    if [[ $name == postgres || $name == influxdb ]]; then
      await_healthy "$name"
      after_start "$name"
    fi
  done
}

local_delete_group() {
  java -cp "${KAFKA_LIBS_DIR:-$root/data/kafka/libs}/*" -Dlog4j2.configurationFile="$root/deploy/kafka/log4j2.properties" \
    org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "127.0.0.1:$KAFKA_PORT" --delete --group "$1"
}

local_down() {
  local name
  for name in $(all_services local | tac); do
    local_stop "$name"
  done
}

local_remove_data() {
  local name
  for name in kafka redis postgres influxdb edge core portal prometheus alertmanager log state; do
    rm -rf "${data:?}/$name"
  done
}

local_log_command() { echo "tail -f $logs/SERVICE.log (Kafka: $data/kafka/kafka.log)"; }
