#!/usr/bin/env bash
# The history in real engines: the same questions get the same answers from the files of core, from
# VictoriaMetrics and from InfluxDB, also when an engine is killed, slow, or refuses readings. It
# builds VictoriaMetrics with Go once (minutes), installs InfluxDB from Debian if it is missing, and
# the tests start and stop them on free loopback ports.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

go=${GO:-go}
version=v1.151.0
bin=${HISTORY_BIN_DIR:-$root/data/history-engines}

die() {
  echo "history: $*" >&2
  exit 1
}

victoriametrics=$bin/victoria-metrics-$version
if [[ ! -x $victoriametrics ]]; then
  echo "history: building VictoriaMetrics $version into $bin"
  GOFLAGS=-buildvcs=false GOBIN=$bin "$go" install "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@$version" ||
    die "VictoriaMetrics could not be built (see above)"
  mv "$bin/victoria-metrics" "$victoriametrics"
fi

if ! command -v influxd >/dev/null; then
  command -v apt-get >/dev/null || die "influxd is missing: install InfluxDB 1.x (Debian: apt-get install influxdb)"
  apt-get install -y --no-install-recommends influxdb || die "InfluxDB could not be installed (see above)"
fi

export VICTORIAMETRICS=$victoriametrics
INFLUXD=$(command -v influxd)
export INFLUXD
"$go" test -tags engines -count=1 -timeout 15m ./core/internal/remote/... ./core/historian/...
