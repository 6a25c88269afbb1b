#!/usr/bin/env bash
# The portal's API against its OpenAPI document, by the contract tester schemathesis: every operation of a running plant,
# with values at the edges of what the document allows, and beyond. Needs Python 3.10 or newer with venv; PyPI the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly root=$PWD
readonly version=4.32.5 # of schemathesis
readonly offset=2300 page=http://127.0.0.1:10380
readonly venv=$root/data/schemathesis-$version

die() {
  echo "test-api: $*" >&2
  exit 1
}

if [[ ! -x $venv/bin/st ]]; then
  command -v python3 >/dev/null || die "python3 is missing (Debian: apt-get install python3-venv)"
  rm -rf "$venv"
  python3 -m venv "$venv" || die "python3 makes no environment (Debian: apt-get install python3-venv)"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" || {
    rm -rf "$venv"
    die "schemathesis could not be installed (see above); it needs a reachable index of Python packages"
  }
fi

work=$(mktemp -d)
plant=
stop() {
  if [[ -n $plant ]]; then kill "$plant" 2>/dev/null && wait "$plant"; fi
  rm -rf "$work"
} 2>/dev/null
trap stop EXIT

CGO_ENABLED=0 "${GO:-go}" build -o "$work/allinone" ./deploy/allinone
# The limits of requests would hide what is behind them.
DEMO_PORT_OFFSET=$offset DEMO_DEVICES=50 DEMO_DATA_DIR=$work/data \
  PORTAL_REQUESTS_PER_SECOND=100000 PORTAL_COMMANDS_PER_MINUTE=1000000 "$work/allinone" >"$work/log" 2>&1 &
plant=$!
for ((i = 0; ; i++)); do
  curl -fs "$page/readyz" >/dev/null && break
  kill -0 "$plant" 2>/dev/null || die "the plant ended: $(tail -3 "$work/log")"
  ((i < 600)) || die "the plant is not ready after a minute: $(tail -3 "$work/log")"
  sleep 0.1
done

# The same requests each time; SEED changes them.
(
  cd "$work" # where it leaves its cache
  "$venv/bin/st" --config-file "$root/test/api/schemathesis.toml" run "$page/api/openapi.json" --seed "${SEED:-1}" "$@"
)
kill -0 "$plant" 2>/dev/null || die "the plant did not survive: $(tail -3 "$work/log")"
