#!/usr/bin/env bash
# The package of the gateway on a machine: installs the deb in a throwaway copy of this one (an overlay that is
# gone afterwards), enrols it at a real hub, runs it as its user, stores readings, upgrades, removes and purges it,
# and reads the metadata of rpm and apk. Needs Debian, root and OUT from build.sh; builds what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

go=${GO:-go}
checks=0

die() {
  echo "test-packages: $*" >&2
  exit 1
}

# ok DESCRIPTION COMMAND…: fails unless the command succeeds.
ok() {
  local -r what=$1
  shift
  "$@" >"$work/out" 2>&1 || die "$what: failed: $*
$(tail -20 "$work/out")"
  checks=$((checks + 1))
  echo "ok  $what"
}

# says DESCRIPTION TEXT: fails unless the command of the last ok printed the text.
says() {
  grep -qF "$2" "$work/out" || die "$1: it printed no \"$2\":
$(tail -20 "$work/out")"
  checks=$((checks + 1))
  echo "ok  $1"
}

# is DESCRIPTION WANTED COMMAND…: fails unless the command prints what is wanted.
is() {
  local -r what=$1 want=$2
  shift 2
  local got
  got=$("$@" 2>&1) || die "$what: failed: $*: $got"
  [[ $got == "$want" ]] || die "$what: $* printed
$got
want
$want"
  checks=$((checks + 1))
  echo "ok  $what"
}

# await SECONDS DESCRIPTION COMMAND…: waits until the command succeeds.
await() {
  local -r limit=$1 what=$2 start=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [[ $((SECONDS - start)) -lt $limit ]] || die "$what: not within $limit s; the log of the gateway:
$(tail -5 "$work/edge.log" 2>/dev/null)"
    sleep 0.2
  done
  checks=$((checks + 1))
  echo "ok  $what"
}

need() {
  local missing=()
  [[ $(id -u) -eq 0 ]] || die "run it as root: it mounts, and changes users"
  command -v dpkg >/dev/null || die "dpkg is missing: it runs on Debian"
  command -v setpriv >/dev/null || missing+=(util-linux)
  command -v rpm >/dev/null || missing+=(rpm)
  command -v systemd-analyze >/dev/null || missing+=(systemd)
  command -v curl >/dev/null || missing+=(curl)
  [[ ${#missing[@]} -eq 0 ]] && return
  apt-get update -q || die "could not install ${missing[*]}"
  apt-get install -qy --no-install-recommends "${missing[@]}" || die "could not install ${missing[*]}"
}

# The throwaway machine: what it writes is in memory.
if [[ ${1:-} != inside ]]; then
  need
  exec unshare --mount --propagation private -- "$0" inside
fi
work=$(mktemp -d)
declare -a pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  cd /
  umount -R "$work/root" 2>/dev/null || true
  umount "$work/layer" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap finish EXIT
mkdir "$work/layer" "$work/root"
mount -t tmpfs -o size=2g tmpfs "$work/layer"
mkdir "$work/layer/upper" "$work/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layer/upper,workdir=$work/layer/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --bind /dev "$work/root/dev"
root=$work/root
dpkg-query -W iot-edge >/dev/null 2>&1 && die "iot-edge is installed on this machine: its copy would not be a new one"

on() { chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
as_edge() { on setpriv --reuid iot-edge --regid iot-edge --init-groups "$@"; }

# Two versions; the second one is what an upgrade brings.
case $(dpkg --print-architecture) in
  amd64 | arm64) arch=$(dpkg --print-architecture) ;;
  *) die "no package for $(dpkg --print-architecture)" ;;
esac
# build DIRECTORY VERSION FORMATS
build() {
  echo "build $2: $3"
  OUT=$work/$1 PACKAGE_VERSION=$2 VERSION=$2 FORMATS=$3 PROGRAMS=edge ARCHES=$arch deploy/packages/build.sh >"$work/build.log" 2>&1 || die "build: $(tail -5 "$work/build.log")"
}
build 1.0.0 1.0.0 "deb rpm apk"
build 1.0.1 1.0.1 deb
build again 1.0.0 deb
cp "$work"/1.0.[01]/*.deb "$root/tmp/"
ok "the same commit gives the same deb" cmp "$work/1.0.0/iot-edge_1.0.0-1_$arch.deb" "$work/again/iot-edge_1.0.0-1_$arch.deb"
ok "SHA256SUMS" bash -c "cd $work/1.0.0 && sha256sum -c SHA256SUMS"
echo "sign (the first time builds cosign)"
export COSIGN_PASSWORD=of-a-test
sign() { OUT=$work/1.0.0 KEY=$1 deploy/packages/sign.sh "$2"; }
refused() { ! sign "$@" >/dev/null 2>&1; }
ok "a pair of keys" sign "$work/release" key
ok "another pair" sign "$work/other" key
ok "sign" sign "$work/release" sign
ok "verify" sign "$work/release" verify
ok "another key is refused" refused "$work/other" verify
cp "$work/1.0.0/SHA256SUMS" "$work/sums"
sed -i '1s/^./x/' "$work/1.0.0/SHA256SUMS"
ok "changed sums are refused" refused "$work/release" verify
cp "$work/sums" "$work/1.0.0/SHA256SUMS"
cp "$work/1.0.0/edge-linux-$arch" "$work/kept"
echo x >>"$work/1.0.0/edge-linux-$arch"
ok "a changed file is refused" refused "$work/release" verify
cp "$work/kept" "$work/1.0.0/edge-linux-$arch"
CGO_ENABLED=0 "$go" build -trimpath -o "$work/bin/" ./bridge ./sim ./test/faults/cmd/devkafka || die "building the hub failed (see above)"

echo "---- installation"
ok "install" on dpkg -i "/tmp/iot-edge_1.0.0-1_$arch.deb"
is "edge.env" "640 root:iot-edge" on stat -c '%a %U:%G' /etc/iot-edge/edge.env
is "data" "750 iot-edge:iot-edge" on stat -c '%a %U:%G' /var/lib/iot-edge
is "program" "755 root:root" on stat -c '%a %U:%G' /usr/bin/edge
is "user" "/usr/sbin/nologin" on sh -c 'getent passwd iot-edge | cut -d: -f7'
is "version" "edge 1.0.0" on edge --version
is "link" "edge 1.0.0" on iot-edge --version
is "conffile" "/etc/iot-edge/edge.env" on sh -c "dpkg-query -W -f='\${Conffiles}' iot-edge | awk '{print \$1}' | grep ."
ok "systemd-analyze verify" on systemd-analyze verify --man=no iot-edge.service
is "nothing else in it is unknown" "" bash -c "chroot $root systemd-analyze verify --man=no iot-edge.service 2>&1 | grep iot-edge | grep -v 'Restart\(Steps\|MaxDelaySec\)' || true"
exposure=$(on systemd-analyze security --offline=true --no-pager /usr/lib/systemd/system/iot-edge.service 2>/dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
ok "systemd-analyze security: $exposure of at most 1.5" awk "BEGIN {exit !(\"$exposure\" != \"\" && $exposure <= 1.5)}"

echo "---- enrolment at a real hub"
port=$((20000 + RANDOM % 8000))
kafka=127.0.0.1:$port hub=127.0.0.1:$((port + 1)) leaf=127.0.0.1:$((port + 2))
nats=127.0.0.1:$((port + 3)) mqtt=127.0.0.1:$((port + 4)) http=127.0.0.1:$((port + 5))
hub_env=(KAFKA_BROKERS="$kafka" BRIDGE_HUB_ADDR="$hub" BRIDGE_LEAF_ADDR="$leaf" BRIDGE_HTTP_ADDR=127.0.0.1:$((port + 6)) BRIDGE_HUB_AUTH=required)
"$work/bin/devkafka" -addr "$kafka" -data "$work/kafka" >"$work/kafka.log" 2>&1 &
pids+=($!)
start_bridge() {
  env "${hub_env[@]}" "$work/bin/bridge" >>"$work/bridge.log" 2>&1 &
  bridge=$!
  pids+=("$bridge")
}
start_bridge
await 60 "the hub is ready" curl -sf "http://127.0.0.1:$((port + 6))/readyz"
claim=$(env "${hub_env[@]}" BRIDGE_LEAF_URL="nats-leaf://$leaf" "$work/bin/bridge" gateway add gw-p -building A 2>"$work/out" | sed -n 's/^edge enroll //p')
[[ $claim == iotc_* ]] || die "bridge gateway add printed no claim: $(cat "$work/out")"
# As an operator would, behind the file's own lines.
cat >>"$root/etc/iot-edge/edge.env" <<TEXT
EDGE_BUILDING='Hall #3'
EDGE_NATS_ADDR=$nats
EDGE_MQTT_ADDR=$mqtt
EDGE_HTTP_ADDR=$http
EDGE_BUFFER_BYTES=67108864
TEXT
before=$(sha256sum <"$root/etc/iot-edge/edge.env")
is "doctor before: exit code 1" 1 bash -c "chroot $root edge doctor >/dev/null 2>&1; echo \$?"
ok "edge enroll, as root" on edge enroll "$claim"
says "it says how to go on" "systemctl enable --now iot-edge"
is "its files are the gateway's" "iot-edge" on find /var/lib/iot-edge -mindepth 1 -printf '%u\n' -quit
is "all of them" "" on find /var/lib/iot-edge ! -user iot-edge
ok "edge doctor" on edge doctor
says "it tried the key" "lets this gateway in with its key"
ok "edge device, as root" on edge device add device_x
is "credentials are the gateway's" "600 iot-edge" on stat -c '%a %U' /var/lib/iot-edge/gw-p/security/devices

echo "---- the gateway as its user, with its settings"
# As the unit does: its environment, then the file.
start_edge() {
  chroot "$root" setpriv --reuid iot-edge --regid iot-edge --init-groups env -i EDGE_DATA_DIR=/var/lib/iot-edge GOMEMLIMIT=400MiB \
    bash -c 'umask 0077; set -a; . /etc/iot-edge/edge.env; exec /usr/bin/edge' >>"$work/edge.log" 2>&1 &
  edge=$!
  pids+=("$edge")
  await 60 "the gateway is ready" curl -sf "http://$http/readyz"
}
stop() {
  kill "$1"
  wait "$1" || true
}
packs() { curl -sf "http://$http/metrics" | sed -n 's/^edge_buffer_packs{.*} //p'; }
have_packs() { [[ $(packs) -gt ${1:-0} ]]; }
start_edge
await 60 "the hub lets it in" bash -c "curl -sf http://$http/metrics | grep -q '^edge_hub_connected.* 1$'"
stop "$bridge"
ok "readings are acknowledged while the hub is away" "$work/bin/sim" -devices 20 -interval 200ms -duration 3s -nats "$nats" -http ""
says "all of them" " 0 failed"
await 30 "they are in the buffer" have_packs
is "doctor beside the running gateway: the hub is the failure" "fail  hub" bash -c "chroot $root edge doctor | grep ^fail | awk '{print \$1 \"  \" \$2}'"

echo "---- upgrade"
stop "$edge"
ok "upgrade" on dpkg -i "/tmp/iot-edge_1.0.1-1_$arch.deb"
is "version" "edge 1.0.1" on edge --version
is "changed settings stay" "$before" bash -c "sha256sum <$root/etc/iot-edge/edge.env"
is "mode of the settings stays" "640 root:iot-edge" on stat -c '%a %U:%G' /etc/iot-edge/edge.env
start_edge
await 30 "the buffer is still there" have_packs
start_bridge
await 60 "the hub takes it" bash -c "[[ \$(curl -sf http://127.0.0.1:$((port + 6))/metrics | sed -n 's/^bridge_gateway_lag_packs{.*} //p') == 0 ]] && curl -sf http://$http/metrics | grep -q '^edge_hub_connected.* 1$'"
stop "$edge"

echo "---- removal"
ok "remove" on dpkg -r iot-edge
ok "settings stay" test -f "$root/etc/iot-edge/edge.env"
ok "purge" on dpkg -P iot-edge
says "it says what it kept" "kept /var/lib/iot-edge"
ok "settings are gone" test ! -e "$root/etc/iot-edge/edge.env"
ok "data and key are not" test -f "$root/var/lib/iot-edge/gw-p/security/gateway.nk"
rm -rf "$root/var/lib/iot-edge"
ok "install again" on dpkg -i "/tmp/iot-edge_1.0.0-1_$arch.deb"
ok "purge without data" on dpkg -P iot-edge
ok "leaves nothing" test ! -e "$root/var/lib/iot-edge"

echo "---- rpm and apk"
rpm_file=$(echo "$work"/1.0.0/*.rpm) apk_file=$(echo "$work"/1.0.0/*.apk)
is "rpm: name and version" "iot-edge 1.0.0 1" rpm -qp --qf '%{NAME} %{VERSION} %{RELEASE}' "$rpm_file"
is "rpm: settings" "root iot-edge 100640 cn" bash -c "rpm -qp --qf '[%{FILENAMES} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:octal} %{FILEFLAGS:fflags}\n]' $rpm_file | sed -n 's|^/etc/iot-edge/edge.env ||p'"
ok "rpm: the unit" bash -c "rpm -qlp $rpm_file | grep -qx /usr/lib/systemd/system/iot-edge.service"
ok "rpm: scripts" bash -c "[[ \$(rpm -qp --scripts $rpm_file | grep -c 'scriptlet (using /bin/sh)') -eq 4 ]]"
# An apk is three gzip streams of tar one after the other.
apk_list=$(tar -tzif "$apk_file" 2>/dev/null)
for name in usr/bin/edge etc/iot-edge/edge.env etc/init.d/iot-edge .pre-install .post-install .post-upgrade .pre-deinstall; do
  ok "apk: $name" grep -qx "$name" <<<"$apk_list"
done
is "apk: name and version" "pkgname = iot-edge pkgver = 1.0.0-r1" bash -c "tar -xzOif $apk_file .PKGINFO 2>/dev/null | grep -E '^pkg(name|ver) ' | paste -sd' '"
echo "$checks checks passed"
