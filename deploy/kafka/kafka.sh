#!/usr/bin/env bash
# One Apache Kafka broker on loopback, for development and tests: KRaft, no replication.
# Not for production: see docs/deployment.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

port=${KAFKA_PORT:-9092}
controller_port=${KAFKA_CONTROLLER_PORT:-$((port + 1))}
data=${KAFKA_DATA_DIR:-$root/data/kafka}
libs=${KAFKA_LIBS_DIR:-$root/data/kafka/libs}
heap=${KAFKA_HEAP:-512m}
secure_port=${KAFKA_SECURE_PORT:-}
pid_file=$data/kafka.pid
log_file=$data/kafka.log

usage() {
  cat <<TEXT
usage: kafka.sh up|setup|status|down
  up      fetch Apache Kafka with Maven if needed, start it, wait until it answers
  setup   create the product's topics on it (needs Go)
  status  print whether it runs
  down    stop it and wait; its data is kept
variables:
  KAFKA_PORT=9092             clients
  KAFKA_CONTROLLER_PORT       its own controller, KAFKA_PORT + 1
  KAFKA_DATA_DIR=data/kafka   data, log and pid file
  KAFKA_LIBS_DIR=data/kafka/libs  the jars
  KAFKA_HEAP=512m             the Java heap
  KAFKA_SECURE_PORT           a second listener with SASL_SSL (SCRAM), none by default; who comes
                              over it may do only what ACLs allow, over KAFKA_PORT anybody
                              everything; its CA is KAFKA_DATA_DIR/tls/ca.pem (needs openssl)
TEXT
}

die() {
  echo "kafka: $*" >&2
  exit 1
}

# need COMMAND PURPOSE: fails unless COMMAND is installed.
need() {
  command -v "$1" >/dev/null || die "$1 is missing: Apache Kafka needs $2 (Debian: apt-get install openjdk-17-jre-headless maven)"
}

need_java() {
  need java "Java 17 or newer"
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
  [[ ${version:-0} -ge 17 ]] || die "java is version ${version:-unknown}: Apache Kafka needs Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
}

# running_pid prints the pid of the broker that this data directory's pid file names.
running_pid() {
  local pid
  [[ -f $pid_file ]] || return 1
  pid=$(<"$pid_file")
  [[ -n $pid ]] && ps -p "$pid" -o command= 2>/dev/null | grep -q kafka.Kafka || return 1
  echo "$pid"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

fetch_jars() {
  local stamp
  stamp=$libs/.$(cksum <"$here/pom.xml" | tr -d ' ')
  [[ -f $stamp ]] && return
  need mvn "Maven to fetch its jars (about 54 MB, once)"
  echo "kafka: fetching the jars into $libs"
  rm -rf "$libs" && mkdir -p "$libs"
  mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs" ||
    die "Maven could not fetch Apache Kafka (see above); it needs a reachable Maven repository"
  touch "$stamp"
}

write_config() {
  cat >"$data/server.properties" <<TEXT
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/log
# One broker: nothing is replicated.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Small internal topics start faster.
offsets.topic.num.partitions=5
transaction.state.log.num.partitions=5
# The first member of a group need not wait for others.
group.initial.rebalance.delay.ms=0
# A misspelled topic is an error, not a new topic.
auto.create.topics.enable=false
TEXT
}

# make_certificates makes a CA for tests and the broker's certificate, once, for two days.
make_certificates() {
  need openssl "openssl for the certificates of KAFKA_SECURE_PORT"
  local dir=$data/tls ec=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  [[ -f $dir/broker.pem ]] && return
  mkdir -p "$dir"
  openssl req -x509 "${ec[@]}" -keyout "$dir/ca.key" -out "$dir/ca.pem" -days 2 -subj "/CN=CA of a test" 2>/dev/null
  openssl req "${ec[@]}" -keyout "$dir/broker.key" -out "$dir/broker.csr" -subj "/CN=127.0.0.1" 2>/dev/null
  openssl x509 -req -in "$dir/broker.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$dir/broker.crt" 2>/dev/null
  cat "$dir/broker.key" "$dir/broker.crt" >"$dir/broker.pem"
}

# secure adds the second listener to the configuration.
secure() {
  make_certificates
  sed -i -e "s|^listeners=.*|&,SASL_SSL://127.0.0.1:$secure_port|" \
    -e "s|^advertised.listeners=.*|&,SASL_SSL://127.0.0.1:$secure_port|" \
    -e "s|^listener.security.protocol.map=.*|&,SASL_SSL:SASL_SSL|" "$data/server.properties"
  cat >>"$data/server.properties" <<TEXT
# Who does not sign in is ANONYMOUS.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$data/tls/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$data/tls/ca.pem
# A certificate of a program is checked if it shows one.
listener.name.sasl_ssl.ssl.client.auth=requested
TEXT
}

java_kafka() {
  java -cp "$libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" "$@"
}

format() {
  [[ -f $data/log/meta.properties ]] && return
  local id
  id=$(java_kafka kafka.tools.StorageTool random-uuid)
  java_kafka kafka.tools.StorageTool format --ignore-formatted -t "$id" -c "$data/server.properties" >"$data/format.log" 2>&1 ||
    die "formatting $data/log failed: $(tail -3 "$data/format.log")"
  echo "kafka: formatted $data/log, cluster $id"
}

# await_start waits until the broker of pid $1 answers.
await_start() {
  for _ in $(seq 1 1200); do
    kill -0 "$1" 2>/dev/null || die "it stopped while starting; the end of $log_file:
$(tail -20 "$log_file")"
    if grep -q 'Kafka Server started' "$log_file" && port_open "$port"; then
      return
    fi
    sleep 0.1
  done
  kill "$1"
  die "it does not answer after 120 s and was stopped; see $log_file"
}

up() {
  need_java
  mkdir -p "$data"
  data=$(cd "$data" && pwd) # the broker's configuration needs a full path
  local pid
  if pid=$(running_pid); then
    echo "kafka: runs already, pid $pid, see $data"
    return
  fi
  port_open "$port" && die "port $port is taken (KAFKA_PORT)"
  [[ -n $secure_port ]] && port_open "$secure_port" && die "port $secure_port is taken (KAFKA_SECURE_PORT)"
  port_open "$controller_port" && die "port $controller_port is taken (KAFKA_CONTROLLER_PORT)"
  fetch_jars
  write_config
  [[ -z $secure_port ]] || secure
  format
  nohup java -Xmx"$heap" -XX:+UseG1GC -cp "$libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" \
    kafka.Kafka "$data/server.properties" </dev/null >"$log_file" 2>&1 &
  pid=$!
  echo "$pid" >"$pid_file"
  await_start "$pid"
  echo "kafka: Apache Kafka runs on 127.0.0.1:$port, pid $pid, data in $data"
}

setup() {
  need go "Go to create the topics"
  port_open "$port" || die "nothing answers on port $port: start it first (kafka.sh up)"
  cd "$root"
  KAFKA_BROKERS=127.0.0.1:$port go run ./deploy/kafka/setup
}

status() {
  local pid
  pid=$(running_pid) || die "not running (data in $data)"
  echo "kafka: runs on 127.0.0.1:$port, pid $pid, data in $data"
}

down() {
  local pid
  if ! pid=$(running_pid); then
    rm -f "$pid_file"
    echo "kafka: not running"
    return
  fi
  kill "$pid"
  for _ in $(seq 1 300); do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$pid_file"
      echo "kafka: stopped, data stays in $data"
      return
    fi
    sleep 0.1
  done
  kill -9 "$pid"
  rm -f "$pid_file"
  die "it did not stop within 30 s and was killed; see $log_file"
}

case ${1:-} in
  up | setup | status | down) "$1" ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
