#!/usr/bin/env bash
# The history in real engines: the same questions get the same answers from the files of core, from
# VictoriaMetrics and from InfluxDB, also when an engine is killed, slow, or refuses readings; and PromQL
# gets the same answers as from Prometheus. It builds VictoriaMetrics with Go once (minutes), installs
# InfluxDB and Prometheus from Debian if they are missing, and the tests start and stop them on free
# loopback ports.
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

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
  command -v apt-get >/dev/null || die "prometheus or promtool is missing: install Prometheus (Debian: apt-get install prometheus)"
  apt-get install -y --no-install-recommends prometheus || die "Prometheus could not be installed (see above)"
fi

export VICTORIAMETRICS=$victoriametrics
INFLUXD=$(command -v influxd)
export INFLUXD
PROMETHEUS=$(command -v prometheus)
PROMTOOL=$(command -v promtool)
export PROMETHEUS PROMTOOL
"$go" test -tags engines -count=1 -timeout 15m ./core/internal/remote/... ./core/internal/prom/... ./core/historian/...
