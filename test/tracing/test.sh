#!/usr/bin/env bash
# One reading as one trace in a real Jaeger: all hops, by its API. It builds Jaeger with Go once (minutes) from the
# module in test/tracing/jaeger, and the test starts and stops it on free loopback ports.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

go=${GO:-go}
version=$(sed -n 's|.*github.com/jaegertracing/jaeger \(v[^ ]*\).*|\1|p' test/tracing/jaeger/go.mod)
bin=${JAEGER_BIN_DIR:-$root/data/tools}

die() {
  echo "tracing: $*" >&2
  exit 1
}

[[ -n $version ]] || die "test/tracing/jaeger/go.mod names no version of Jaeger"
jaeger=$bin/jaeger-$version
if [[ ! -x $jaeger ]]; then
  echo "tracing: building Jaeger $version into $bin"
  mkdir -p "$bin"
  (cd test/tracing/jaeger && CGO_ENABLED=0 "$go" build -o "$jaeger.new" github.com/jaegertracing/jaeger/cmd/jaeger) ||
    die "Jaeger could not be built (see above)"
  mv "$jaeger.new" "$jaeger"
fi

export JAEGER=$jaeger
"$go" test -tags tracing -count=1 -timeout 10m -run Jaeger ./test/tracing/...
