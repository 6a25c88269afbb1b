#!/usr/bin/env bash
# The Helm charts and the overlays of Kustomize without a cluster: helm lint, every file of values in ci rendered, checked
# against the schemas of Kubernetes 1.36 (kubernetes-validate, kubeconform) and by check.py; wrong values are refused with
# a message. The first time it installs the tools into data/kubernetes-tools: Go, Python 3.10 with venv, a module proxy, PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly helm_version=v4.3.1 kubeconform_version=v0.8.0 kustomize_version=v5.8.1
readonly validate_version=1.37.0 # of kubernetes-validate
readonly keda_version=v2.21.0 operator_version=v0.85.0 # of which the kinds are checked: KEDA, the operator of Prometheus
readonly tools=$PWD/data/kubernetes-tools go=${GO:-go}
readonly python=$tools/kubernetes-validate-$validate_version/bin/python
sum=$(cksum <deploy/helm/schemas.py | cut -d' ' -f1)
readonly schemas=$tools/schemas-$sum-$validate_version-$keda_version-$operator_version
readonly helm=$tools/helm-$helm_version kubeconform=$tools/kubeconform-$kubeconform_version kustomize=$tools/kustomize-$kustomize_version

die() {
  echo "test-helm: $*" >&2
  exit 1
}

# tool PATH PACKAGE@VERSION: builds a Go program unless it is there.
tool() {
  [[ -x $1 ]] && return
  echo "building ${1##*/}"
  local dir
  dir=$(mktemp -d)
  GOBIN=$dir GOFLAGS=-trimpath CGO_ENABLED=0 "$go" install "$2" || die "$2 could not be built (see above)"
  mv "$dir"/* "$1"
  rm -rf "$dir"
}

# module PATH@VERSION: prints the directory of a Go module.
module() {
  "$go" mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

install_tools() {
  mkdir -p "$tools"
  tool "$helm" "helm.sh/helm/v4/cmd/helm@$helm_version"
  tool "$kubeconform" "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform_version"
  tool "$kustomize" "sigs.k8s.io/kustomize/kustomize/v5@$kustomize_version"
  if [[ ! -x $python ]]; then
    command -v python3 >/dev/null || die "python3 is missing (Debian: apt-get install python3-venv)"
    local venv=${python%/bin/python}
    rm -rf "$venv"
    python3 -m venv "$venv" || die "python3 makes no environment (Debian: apt-get install python3-venv)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$validate_version" || {
      rm -rf "$venv"
      die "kubernetes-validate could not be installed (see above); it needs a reachable index of Python packages"
    }
  fi
  keda=$(module "github.com/kedacore/keda/v2@$keda_version")
  operator=$(module "github.com/prometheus-operator/prometheus-operator@$operator_version")
  [[ -d $keda/config/crd/bases && -d $operator/example/prometheus-operator-crd ]] || die "the definitions of KEDA and of Prometheus' operator could not be downloaded"
}

if [[ ${1:-} == tools ]]; then # for test/k8s: where they are, in the last line
  install_tools
  echo "$helm $kustomize $keda $operator"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0

ok() {
  echo "ok    $*"
  passed=$((passed + 1))
}

render() {
  local -r chart=$1
  shift
  quiet template plant "deploy/helm/$chart" --namespace plant --kube-version 1.36.3 "$@"
}

# quiet runs helm, which says of each link in the chart that it follows it. What it says of failures is in $work/err, too.
quiet() {
  "$helm" "$@" 2>"$work/err" || {
    local -r status=$?
    grep -vF "found symbolic link" "$work/err" >&2
    return "$status"
  }
}

# valid NAME: checks $work/NAME.yaml.
valid() {
  local -r name=$1 file=$work/$1.yaml
  [[ $(grep -c '^kind:' "$file") -ge 3 ]] || die "$name: not the manifests of a program: $(head -3 "$file")"
  "$python" deploy/helm/schemas.py "$schemas" "$keda/config/crd/bases" "$operator/example/prometheus-operator-crd" <"$file"
  # It knows the kinds of Kubernetes alone.
  "$python" -c 'import sys, yaml; yaml.safe_dump_all([d for d in yaml.safe_load_all(sys.stdin) if d and not d["apiVersion"].startswith(("keda.sh/", "monitoring.coreos.com/"))], sys.stdout)' <"$file" >"$work/native.yaml"
  "${python%python}kubernetes-validate" -k 1.36 --strict "$work/native.yaml" >"$work/out" 2>&1 || die "$name: kubernetes-validate: $(cat "$work/out")"
  "$kubeconform" -strict -schema-location "$schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$file" || die "$name: kubeconform refuses it (see above)"
  "$python" deploy/helm/check.py .env.example deploy/prometheus/rules <"$file" || die "$name: see above"
  ok "$name: $(grep -c '^kind:' "$file") objects"
}

# refused TEXT CHART ARGUMENT…: helm refuses the values and says TEXT.
refused() {
  local -r text=$1 chart=$2
  shift 2
  if render "$chart" "$@" >/dev/null 2>&1; then die "$chart $*: rendered, want it refused with: $text"; fi
  grep -qF -- "$text" "$work/err" || die "$chart $*: refused with $(cat "$work/err"), want: $text"
  ok "refused: $chart ${*##*/}"
}

install_tools

readonly centre=deploy/helm/iot-monitor edge=deploy/helm/iot-edge
quiet lint --strict --quiet "$centre" && ok "helm lint iot-monitor"
for values in "$centre"/ci/*.yaml; do
  quiet lint --strict --quiet "$centre" -f "$values" && ok "helm lint iot-monitor -f ${values##*/}"
done
for values in "$edge"/ci/*.yaml; do
  quiet lint --strict --quiet "$edge" -f "$values" && ok "helm lint iot-edge -f ${values##*/}"
done

render iot-monitor >"$work/defaults.yaml" && valid defaults
for values in "$centre"/ci/*.yaml; do
  name=$(basename "$values" .yaml)
  render iot-monitor -f "$values" >"$work/$name.yaml"
  valid "$name"
done
for values in "$edge"/ci/*.yaml; do
  name=edge-$(basename "$values" .yaml)
  render iot-edge -f "$values" >"$work/$name.yaml"
  valid "$name"
done

# The chart in a package has the rules, too: in the repository they are links.
quiet package "$centre" --destination "$work" >/dev/null
quiet template plant "$work"/iot-monitor-*.tgz --namespace plant --kube-version 1.36.3 -f "$centre/ci/production.yaml" >"$work/packaged.yaml"
cmp "$work/production.yaml" "$work/packaged.yaml" || die "the packaged chart renders something else than the chart in the repository"
ok "the packaged chart renders the same"

if command -v promtool >/dev/null; then
  "$python" -c 'import sys, yaml; yaml.safe_dump([d["spec"] for d in yaml.safe_load_all(sys.stdin) if d and d["kind"] == "PrometheusRule"][0], sys.stdout)' <"$work/production.yaml" >"$work/rules.yml"
  promtool check rules "$work/rules.yml" >"$work/out" 2>&1 || die "promtool: $(cat "$work/out")"
  ok "promtool: PrometheusRule of production"
fi

# Overlays: base is made of the chart, the others patch it.
deploy/kustomize/render.sh "$helm" "$work/base"
diff -ru --exclude=kustomization.yaml deploy/kustomize/base "$work/base" || die "deploy/kustomize/base is not what the chart says: run make kustomize-base"
ok "deploy/kustomize/base is up to date"
for overlay in base single-node production; do
  "$kustomize" build "deploy/kustomize/$overlay" >"$work/kustomize-$overlay.yaml"
  valid "kustomize-$overlay"
done

refused "core.replicas is 11, but the topic device-data has 10 partitions" iot-monitor --set core.replicas=11
refused "core.autoscaling.maxReplicas is 12, but the topic device-data has 8 partitions" iot-monitor --set core.autoscaling.mode=keda,core.autoscaling.maxReplicas=12,kafka.deviceDataPartitions=8
refused "minReplicas is 5 and maxReplicas 3" iot-monitor --set core.autoscaling.mode=hpa,core.autoscaling.minReplicas=5,core.autoscaling.maxReplicas=3
refused "maximum: got 2,000, want 1,000" iot-monitor --set kafka.deviceDataPartitions=2000
refused "bridge.replicas is 2, but the hub is embedded" iot-monitor --set bridge.replicas=2,bridge.lanes=2
refused "bridge.replicas is 3 and bridge.lanes 2" iot-monitor --set bridge.replicas=3,bridge.lanes=2,hub.url=nats://hub:4222
refused "portal.replicas is 2, but the database is a file" iot-monitor --set portal.replicas=2
refused "hub.auth is observe, and other pods and gateways reach the hub" iot-monitor --set hub.auth=observe
refused "hub.tls.existingSecret is empty" iot-monitor --set hub.tls.existingSecret=
refused "portal.auth is off" iot-monitor --set-string portal.auth=off
refused "portal.ingress is enabled without portal.trustedProxies" iot-monitor --set portal.ingress.enabled=true
refused "kafka.securityProtocol is SASL_SSL without kafka.sasl.mechanism" iot-monitor --set kafka.securityProtocol=SASL_SSL
refused "monitoring.podMonitor is enabled with insecure=[anonymous]" iot-monitor --set monitoring.podMonitor.enabled=true --set 'insecure={anonymous}'
refused "history.mode is influxdb without an address" iot-monitor --set history.mode=influxdb
refused "'replica'" iot-monitor --set core.replica=2
refused "/kafka/brokers/0" iot-monitor --set 'kafka.brokers={kafka}'
refused "/core/settings/ALERT_TEMPERATURE_HIGH" iot-monitor --set core.settings.ALERT_TEMPERATURE_HIGH=75
refused "core.settings.HISTORY: the chart sets this variable" iot-monitor --set core.settings.HISTORY=embedded
refused "'gatewayId'" iot-edge
refused "/gatewayId" iot-edge --set gatewayId=Haus.A
refused "secrets.existingSecret is empty" iot-edge --set gatewayId=gw-a
refused "both take the node's ports" iot-edge -f "$edge/ci/isolated.yaml" --set service.type=LoadBalancer

# fault WHAT FROM TO TEXT: the checks must find the fault that replacing FROM makes, and say TEXT.
fault() {
  local -r what=$1 from=$2 to=$3 text=$4
  sed "s|$from|$to|" "$work/defaults.yaml" >"$work/fault.yaml"
  ! cmp -s "$work/defaults.yaml" "$work/fault.yaml" || die "fault $what: $from is not in the manifests"
  if (valid fault) >"$work/found" 2>&1; then die "fault $what: not found"; fi
  grep -qF -- "$text" "$work/found" || die "fault $what: found as $(cat "$work/found"), want: $text"
  ok "found: $what"
}
fault "a field that Kubernetes does not know" readOnlyRootFilesystem readOnlyRootFileSystem "kubernetes-validate: "
fault "a variable that no program reads" KAFKA_BROKERS KAFKA_BROKER "KAFKA_BROKER is no setting in .env.example"
fault "a writable root" "readOnlyRootFilesystem: true" "readOnlyRootFilesystem: false" "readOnlyRootFilesystem is not true"
fault "a policy for pods that are not there" "operator: In, values: .core, history." "operator: In, values: [cores]" "selects no pod"

echo "test-helm: $passed passed"
