#!/usr/bin/env bash
# Tests of what portals share by a Redis, with a real one. Needs redis-server: from the PATH, or REDIS_SERVER;
# if it is missing it is installed with apt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() {
  echo "test-redis: $*" >&2
  exit 1
}

if ! command -v "${REDIS_SERVER:-redis-server}" >/dev/null; then
  [[ -z ${REDIS_SERVER:-} ]] || die "REDIS_SERVER=$REDIS_SERVER is not a program"
  command -v apt-get >/dev/null || die "redis-server is missing: install Redis 6.2 or newer, or set REDIS_SERVER to it"
  apt-get update -q
  apt-get install -y --no-install-recommends redis-server || die "redis-server could not be installed (see above)"
fi

"${GO:-go}" test -tags redis -count=1 -timeout 10m ./portal/internal/share/...
"${GO:-go}" test -tags redis -run Redis -count=1 -timeout 10m ./portal/web/...
