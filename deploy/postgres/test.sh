#!/usr/bin/env bash
# The portal's database in a real PostgreSQL: the tests that SQLite passes, and what happens when the
# server is killed or stands still. It installs PostgreSQL from Debian if it is missing; the tests start
# and stop servers of their own on free loopback ports.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

die() {
  echo "store: $*" >&2
  exit 1
}

# newest prints the directory of the newest PostgreSQL's programs.
newest() {
  find /usr/lib/postgresql -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1 | xargs -r dirname
}

POSTGRES_BIN=${POSTGRES_BIN:-$(newest)}
if [[ -z $POSTGRES_BIN ]]; then
  command -v apt-get >/dev/null || die "PostgreSQL is missing: install it, or set POSTGRES_BIN to the directory of initdb and postgres"
  apt-get update -q
  apt-get install -y --no-install-recommends postgresql || die "PostgreSQL could not be installed (see above)"
  POSTGRES_BIN=$(newest)
fi
[[ -x $POSTGRES_BIN/initdb ]] || die "there is no initdb in POSTGRES_BIN=$POSTGRES_BIN"
export POSTGRES_BIN

"${GO:-go}" test -tags postgres -run "PostgreSQL|TestSQLite$" -count=1 -timeout 15m ./portal/internal/store/... ./portal/internal/feed/... ./portal/web/...
