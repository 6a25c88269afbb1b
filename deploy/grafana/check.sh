#!/usr/bin/env bash
# Checks the dashboards without a server: the files are those of the Go code, complete, and red where the alerts fire.
# The module is not part of the product's, so make test and make lint leave it out; lint says to run the linter, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

go=${GO:-go}
case ${1:-test} in
test) "$go" test -count=1 ./... ;;
update) "$go" test -count=1 -run '^TestCheckedIn$' ./... -update ;;
lint)
  "$("$go" env GOPATH)/bin/golangci-lint" run ./...
  "$go" mod tidy -diff
  ;;
*)
  echo "check.sh: $1 is none of test, update, lint" >&2
  exit 2
  ;;
esac
