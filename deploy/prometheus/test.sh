#!/usr/bin/env bash
# The rules and the example of Alertmanager with a real Prometheus and Alertmanager that watch the real programs.
# Needs Debian's packages prometheus and prometheus-alertmanager; what is missing is installed with apt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() {
  echo "test-monitoring: $*" >&2
  exit 1
}

for program in prometheus prometheus-alertmanager; do
  if ! command -v "$program" >/dev/null; then
    command -v apt-get >/dev/null || die "$program is missing: install Prometheus 2.42 and Alertmanager 0.25 or newer under Debian's names"
    apt-get update -q
    apt-get install -y --no-install-recommends "$program" || die "$program could not be installed (see above)"
  fi
done

"${GO:-go}" test -tags monitoring -count=1 -timeout 30m -skip "^TestDashboards$" -v ./test/monitoring/...
