#!/usr/bin/env bash
# The broker-facing tests and the end-to-end test against Apache Kafka. It starts a broker of
# its own with empty data, beside one that kafka.sh may be running, and stops it at the end.
# Without Java or Maven it fails and names the missing tool.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

export KAFKA_PORT=${TEST_KAFKA_PORT:-19092}
export KAFKA_CONTROLLER_PORT=$((KAFKA_PORT + 1))
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
"$go" test -count=1 -timeout 15m ./internal/kafka/... ./internal/kafkatest/... ./bridge/... ./core/... ./portal/...
"$go" test -tags e2e -count=1 -timeout 20m -v ./test/e2e/...
