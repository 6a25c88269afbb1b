#!/usr/bin/env bash
# Every query of the dashboards, put to a real Prometheus that watches the real programs, and to the history of readings
# in files and in VictoriaMetrics. Needs Debian's packages prometheus, prometheus-alertmanager, redis-server and
# victoria-metrics; what is missing is installed with apt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() {
  echo "test-dashboards: $*" >&2
  exit 1
}

missing=()
for program in prometheus prometheus-alertmanager redis-server victoria-metrics; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  command -v apt-get >/dev/null || die "${missing[*]} missing: install them under Debian's names"
  apt-get update -q
  apt-get install -y --no-install-recommends "${missing[@]}" || die "${missing[*]} could not be installed (see above)"
fi

"${GO:-go}" test -tags monitoring -count=1 -timeout 10m -run '^TestDashboards$' -v ./test/monitoring
