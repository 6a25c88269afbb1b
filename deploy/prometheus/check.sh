#!/usr/bin/env bash
# Checks the rules and the example of Alertmanager: syntax, then the tests, in which each alert fires in its fault and
# none in health.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

need() {
  command -v "$1" >/dev/null || {
    echo "test-rules: $1 is missing: install Debian's package $2" >&2
    exit 1
  }
}

need promtool prometheus
need amtool prometheus-alertmanager
promtool check rules rules/*.yml
config=$(mktemp)
trap 'rm -f "$config"' EXIT
printf 'rule_files: ["%s/rules/*.yml"]\n' "$PWD" >"$config"
promtool check config "$config"
amtool check-config alertmanager.yml
printf '%s\0' tests/*.yml | xargs -0 -n 1 -P 2 promtool test rules
