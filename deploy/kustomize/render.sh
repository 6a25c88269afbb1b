#!/usr/bin/env bash
# Writes the manifests of deploy/kustomize/base from the chart with its defaults: render.sh HELM DIRECTORY. A file for each
# template; what only Helm needs is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[[ $# -eq 2 ]] || {
  echo "usage: render.sh HELM DIRECTORY" >&2
  exit 2
}
helm=$1 out=$2
mkdir -p "$out"
rm -f "$out"/{bridge,core,history,portal,disruption,networkpolicy}.yaml
"$helm" template plant deploy/helm/iot-monitor --namespace plant --kube-version 1.36.3 --set fullnameOverride=iot 2> >(grep -vF "found symbolic link" >&2) | awk -v out="$out" '
  /^# Source: / { n = split($3, path, "/"); file = out "/" path[n]; next }
  /^---$/ { separator = 1; next }
  /^ *(helm\.sh\/|app\.kubernetes\.io\/managed-by)/ { next }
  file == "" { next }
  {
    if (!(file in written)) {
      print "# Made of the chart by make kustomize-base. Change deploy/helm/iot-monitor, or patch it in an overlay." > file
      written[file] = 1
    }
    if (separator) { print "---" > file; separator = 0 }
    print > file
  }'
