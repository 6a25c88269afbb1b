#!/usr/bin/env bash
# The charts in a real control plane of Kubernetes: API server, controller manager and scheduler, with nodes and pods that
# kwok only plays. So objects, rollouts, budgets and drains are real; programs, probes and networks are not. Needs etcd and
# kubectl (apt: etcd-server); the first time it builds Kubernetes for ten minutes or more, into data/kubernetes-tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly kubernetes_version=v1.36.3 kwok_version=v0.7.0 # the former as in test/k8s/plane/go.mod
readonly tools=$PWD/data/kubernetes-tools go=${GO:-go}
readonly plane=$tools/plane-$kubernetes_version kwok=$tools/kwok-$kwok_version
readonly etcd_port=23790 etcd_peers=23800 api_port=26443 manager_port=26257 scheduler_port=26259 kwok_port=26247

die() {
  echo "test-k8s: $*" >&2
  exit 1
}

install_tools() {
  if ! command -v etcd >/dev/null; then
    command -v apt-get >/dev/null || die "etcd is missing: install etcd 3.4 or newer"
    apt-get update -q
    apt-get install -y --no-install-recommends etcd-server || die "etcd-server could not be installed (see above)"
  fi
  command -v kubectl >/dev/null || die "kubectl is missing: install 1.32 or newer"
  command -v openssl >/dev/null || die "openssl is missing"
  local found
  found=$(deploy/helm/test.sh tools | tail -1)
  read -r helm kustomize keda operator <<<"$found"
  if [[ ! -x $kwok ]]; then
    echo "building kwok"
    local dir
    dir=$(mktemp -d)
    GOBIN=$dir GOFLAGS=-trimpath CGO_ENABLED=0 "$go" install "sigs.k8s.io/kwok/cmd/kwok@$kwok_version" || die "kwok could not be built (see above)"
    mv "$dir/kwok" "$kwok"
    rm -rf "$dir"
  fi
  if [[ ! -x $plane ]]; then
    echo "building Kubernetes $kubernetes_version; this takes ten minutes or more"
    (cd test/k8s/plane && GOFLAGS=-trimpath CGO_ENABLED=0 "$go" build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes_version" -o "$plane.new" .) ||
      die "Kubernetes could not be built (see above)"
    mv "$plane.new" "$plane"
  fi
}

work=$(mktemp -d)
declare -a pids=()
passed=0

stop() {
  local status=$? i
  if [[ $status -ne 0 ]]; then
    for log in "$work"/*.log; do
      echo "---- ${log##*/}" && tail -5 "$log"
    done >&2
  fi
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap stop EXIT

# run NAME COMMAND…: starts a part; its log is for failures.
run() {
  local -r name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
}

ok() {
  echo "ok    $*"
  passed=$((passed + 1))
}

# until_true SECONDS WHAT COMMAND…: waits for a condition.
until_true() {
  local -r end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$work/condition" 2>&1; do
    ((SECONDS < end)) || die "not within the time: $what: $(tail -3 "$work/condition")"
    sleep 0.3
  done
}

k() {
  kubectl --kubeconfig "$work/kubeconfig" -n plant "$@"
}

h() {
  KUBECONFIG=$work/kubeconfig "$helm" "$@" -n plant
}

start_plane() {
  openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
  openssl rand -hex 16 >"$work/token"
  echo "$(cat "$work/token"),admin,admin,system:masters" >"$work/tokens.csv"
  cat >"$work/kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$api_port", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$(cat "$work/token")"}}]
CONFIG
  run etcd etcd --data-dir "$work/etcd" --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$etcd_peers" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peers" --initial-cluster "default=http://127.0.0.1:$etcd_peers" \
    --unsafe-no-fsync
  run apiserver "$plane" apiserver --etcd-servers "http://127.0.0.1:$etcd_port" --bind-address 127.0.0.1 --secure-port "$api_port" --cert-dir "$work/certs" \
    --token-auth-file "$work/tokens.csv" --authorization-mode RBAC --service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://test \
    --service-account-key-file "$work/sa.key" --service-account-signing-key-file "$work/sa.key"
  until_true 120 "the API server is ready" kubectl --kubeconfig "$work/kubeconfig" get --raw /readyz
  run controller-manager "$plane" controller-manager --kubeconfig "$work/kubeconfig" --service-account-private-key-file "$work/sa.key" --leader-elect=false \
    --bind-address 127.0.0.1 --secure-port "$manager_port" --cert-dir "$work/certs-manager"
  run scheduler "$plane" scheduler --kubeconfig "$work/kubeconfig" --leader-elect=false --bind-address 127.0.0.1 --secure-port "$scheduler_port" --cert-dir "$work/certs-scheduler"
  run kwok "$kwok" --kubeconfig "$work/kubeconfig" --manage-all-nodes --node-lease-duration-seconds 40 --server-address "127.0.0.1:$kwok_port"
  ok "API server $(kubectl --kubeconfig "$work/kubeconfig" get --raw /version | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p')"
}

prepare_cluster() {
  local node i
  for node in a b c; do
    k create -f - >/dev/null <<NODE
apiVersion: v1
kind: Node
metadata:
  name: node-$node
  labels: {kubernetes.io/hostname: node-$node, topology.kubernetes.io/zone: zone-$node, kubernetes.io/os: linux}
NODE
  done
  until_true 60 "nodes are ready" k wait --for=condition=Ready node --all --timeout=1s
  # The standard "restricted" is in force, so a pod that does not pass it is not made.
  k create -f - >/dev/null <<'NAMESPACE'
apiVersion: v1
kind: Namespace
metadata:
  name: plant
  labels: {pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}
NAMESPACE
  for i in 1 2 3; do
    k create -f - >/dev/null <<VOLUME
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-$i}
spec:
  capacity: {storage: 500Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /nowhere}
VOLUME
  done
  k apply --server-side -f "$keda/config/crd/bases/keda.sh_scaledobjects.yaml" -f "$keda/config/crd/bases/keda.sh_triggerauthentications.yaml" \
    -f "$operator/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" -f "$operator/example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml" >/dev/null
  k wait --for=condition=Established crd --all --timeout=60s >/dev/null
}

readonly full=plant-iot-monitor centre=deploy/helm/iot-monitor
# KEDA is not there to scale; history.storage.className has no provisioner.
readonly -a production=(plant "$centre" -f "$centre/ci/production.yaml" --set core.autoscaling.mode=none --set core.replicas=2 --set history.storage.className=)

rolled_out() {
  local object
  for object in deployment/$full-{bridge,core,portal} statefulset/$full-history; do
    k rollout status "$object" --timeout=120s >"$work/rollout" 2>&1 || die "$object: $(tail -2 "$work/rollout"; k get pods; k get events | tail -5)"
  done
}

pods() {
  k get pods -l "app.kubernetes.io/component=$1" -o 'jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\n"}{end}'
}

images() {
  k get pods -l app.kubernetes.io/name=iot-monitor -o 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | sed 's/.*://' | sort -u | paste -sd' '
}

# evict POD: what the API server answers to its eviction.
evict() {
  printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"plant"}}' "$1" |
    k create --raw "/api/v1/namespaces/plant/pods/$1/eviction" -f - 2>&1
}

test_install() {
  h install "${production[@]}" >/dev/null
  rolled_out
  [[ $(images) == v1.4.0 ]] || die "images after install: $(images)"
  ok "install: every pod passes the standard restricted, is scheduled and ready"
}

test_upgrade() {
  local before
  before=$(pods core)
  h upgrade "${production[@]}" --set image.tag=v1.4.1 >/dev/null
  rolled_out
  until_true 60 "only new pods" only_image v1.4.1
  [[ -z $(comm -12 <(sort <<<"$before") <(pods core | sort)) ]] || die "a pod of the former version is still there"
  ok "upgrade: another tag replaces every pod"
  h rollback plant 1 >/dev/null
  rolled_out
  until_true 60 "only old pods" only_image v1.4.0
  ok "rollback: every pod has the former tag"
}

only_image() {
  [[ $(images) == "$1" ]]
}

test_scale() {
  local n
  for n in 4 10 2; do
    h upgrade "${production[@]}" --set core.replicas=$n >/dev/null
    rolled_out
    until_true 60 "$n cores" cores_are $n
  done
  ok "scale: 4, 10 and 2 cores"
  if h upgrade "${production[@]}" --set core.replicas=11 >"$work/refused" 2>&1; then die "11 cores for 10 partitions were accepted"; fi
  grep -q "has 10 partitions" "$work/refused" || die "11 cores were refused with: $(cat "$work/refused")"
  cores_are 2 || die "a refused upgrade changed something"
  ok "scale: an upgrade to 11 cores with 10 partitions is refused, and nothing changes"
}

cores_are() {
  [[ $(pods core | wc -l) -eq $1 ]]
}

test_budget() {
  local -a bridge
  mapfile -t bridge < <(pods bridge)
  [[ ${#bridge[@]} -eq 2 ]] || die "bridges: ${bridge[*]}, want two"
  [[ $(k get pods -l app.kubernetes.io/component=bridge -o 'jsonpath={.items[*].spec.nodeName}' | tr ' ' '\n' | sort -u | wc -l) -eq 2 ]] || die "both bridges are on one node"
  ok "spread: the bridges are on two nodes"
  # With no node to go to, the replacement of the first one waits.
  k cordon -l kubernetes.io/os=linux >/dev/null
  evict "${bridge[0]}" | grep -q '"status":"Success"' || die "the first bridge could not be evicted"
  until_true 60 "the first bridge is gone" bridges_are 1
  local answer
  answer=$(evict "${bridge[1]}" || true)
  grep -q "disruption budget" <<<"$answer" || die "eviction of the second bridge: $answer, want it refused"
  bridges_are 1 || die "no bridge is left"
  ok "budget: with one bridge away the other is not evicted"
  k uncordon -l kubernetes.io/os=linux >/dev/null
  until_true 60 "two bridges again" bridges_are 2
  rolled_out
}

bridges_are() {
  [[ $(pods bridge | wc -l) -eq $1 ]]
}

test_drain() {
  local node
  node=$(k get pods -l app.kubernetes.io/component=bridge -o 'jsonpath={.items[0].spec.nodeName}')
  # How many bridges are ready, all the time.
  (while :; do k get deployment $full-bridge -o 'jsonpath={.status.readyReplicas}{"\n"}'; sleep 0.1; done >"$work/ready" 2>/dev/null) &
  local -r watch=$!
  pids+=("$watch")
  k drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=180s >"$work/drain" 2>&1 || die "drain of $node did not end: $(tail -3 "$work/drain")"
  rolled_out
  kill "$watch" 2>/dev/null || true
  [[ -z $(k get pods --field-selector "spec.nodeName=$node" -o name) ]] || die "pods are left on $node"
  [[ $(wc -l <"$work/ready") -gt 3 ]] || die "the bridges were not watched"
  ! grep -qvE '^[12]$' "$work/ready" || die "ready bridges during the drain: $(sort "$work/ready" | uniq -c | paste -sd' '), want 1 or 2"
  ok "drain: it ends, nothing is left on $node, a bridge was ready at all times ($(wc -l <"$work/ready") looks)"
  k uncordon "$node" >/dev/null
}

test_keda() {
  h upgrade plant "$centre" -f "$centre/ci/production.yaml" --set history.storage.className= >/dev/null
  k get scaledobject $full-core -o 'jsonpath={.spec.maxReplicaCount}' | grep -qx 10 || die "the ScaledObject is not as the values say"
  ok "KEDA: the API server takes ScaledObject and TriggerAuthentication"
  [[ $(k get podmonitor -o name | wc -l) -eq 4 && $(k get prometheusrule $full -o 'jsonpath={.spec.groups[*].name}' | wc -w) -ge 8 ]] || die "PodMonitors or PrometheusRule are missing"
  ok "Prometheus: the API server takes PodMonitor and PrometheusRule"
}

test_edge() {
  h install site deploy/helm/iot-edge -f deploy/helm/iot-edge/ci/site.yaml --set storage.className= >/dev/null
  k rollout status statefulset/site-iot-edge --timeout=120s >/dev/null || die "the gateway is not ready: $(k get pods)"
  h upgrade site deploy/helm/iot-edge -f deploy/helm/iot-edge/ci/site.yaml --set storage.className= --set image.tag=v1.4.1 >/dev/null
  k rollout status statefulset/site-iot-edge --timeout=120s >/dev/null || die "the gateway is not ready after the upgrade"
  [[ $(k get pod site-iot-edge-0 -o 'jsonpath={.spec.containers[0].image}') == *:v1.4.1 ]] || die "the gateway has not the new tag"
  h uninstall site >/dev/null
  k get pvc data-site-iot-edge-0 >/dev/null || die "the buffer is gone after uninstall"
  ok "edge: install, upgrade, and the buffer stays after uninstall"
}

test_kustomize() {
  local overlay
  for overlay in single-node production; do
    "$kustomize" build "deploy/kustomize/$overlay" >"$work/overlay.yaml"
    k apply --dry-run=server --validate=strict -f "$work/overlay.yaml" >"$work/out" 2>&1 || die "kustomize $overlay: $(cat "$work/out")"
    ! grep -i warning "$work/out" || die "kustomize $overlay: see above"
    ok "kustomize $overlay: the API server takes $(wc -l <"$work/out") objects"
  done
}

test_uninstall() {
  h uninstall plant >/dev/null
  until_true 60 "no pod is left" no_pods
  k get pvc data-$full-history-0 >/dev/null || die "the history is gone after uninstall"
  ok "uninstall: no pod is left, the history stays"
}

no_pods() {
  [[ -z $(k get pods -o name) ]]
}

install_tools
start_plane
prepare_cluster
test_install
test_upgrade
test_scale
test_budget
test_drain
test_keda
test_edge
test_kustomize
test_uninstall
echo "test-k8s: $passed passed"
