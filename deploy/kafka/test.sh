#!/usr/bin/env bash
# The broker-facing tests and the end-to-end test against Apache Kafka. It starts a broker of
# its own with empty data, beside one that kafka.sh may be running, and stops it at the end.
# Without Java or Maven it fails and names the missing tool.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

export KAFKA_PORT=${TEST_KAFKA_PORT:-19092}
export KAFKA_CONTROLLER_PORT=$((KAFKA_PORT + 1)) KAFKA_SECURE_PORT=$((KAFKA_PORT + 2))
export KAFKA_DATA_DIR=$root/data/kafka-test
export KAFKA_LIBS_DIR=${KAFKA_LIBS_DIR:-$root/data/kafka/libs}
go=${GO:-go}

if "$here/kafka.sh" status 2>/dev/null; then
  echo "kafka: another test run uses it, or one was killed; stop it with KAFKA_DATA_DIR=$KAFKA_DATA_DIR deploy/kafka/kafka.sh down" >&2
  exit 1
fi
rm -rf "$KAFKA_DATA_DIR"
trap '"$here/kafka.sh" down' EXIT
"$here/kafka.sh" up

export TEST_KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT
# The second listener: users, TLS and ACLs. The end-to-end test uses it for everything.
export TEST_KAFKA_SECURE=127.0.0.1:$KAFKA_SECURE_PORT TEST_KAFKA_TLS=$KAFKA_DATA_DIR/tls
# Only tests that use kafkatest meet this broker; all others are in `make test`. Those of portal/web
# take four minutes and reach Kafka through packages that are here anyway: TEST_KAFKA_ALL=1, nightly.
mapfile -t packages < <(grep -rl --include='*_test.go' '"industrial-iot-monitor/internal/kafkatest"' internal bridge core portal | xargs dirname | sort -u |
  if [[ ${TEST_KAFKA_ALL:-} == 1 ]]; then cat; else grep -vx portal/web; fi | sed 's|^|./|')
[[ ${#packages[@]} -gt 5 ]] || {
  echo "kafka: found only ${#packages[@]} packages that are tested against a broker" >&2
  exit 1
}
"$go" test -tags secured -count=1 -timeout 15m "${packages[@]}"
"$go" test -tags e2e,secured -count=1 -timeout 20m -v ./test/e2e/...
