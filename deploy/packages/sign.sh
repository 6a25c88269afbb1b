#!/usr/bin/env bash
# Signs dist/SHA256SUMS, which stands for every file in it, with a key of cosign and without any service on the network.
# The first time it builds cosign, for minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cosign_version=v3.1.3
go=${GO:-go}
out=${OUT:-dist}

die() {
  echo "sign: $*" >&2
  exit 1
}

usage() {
  cat <<TEXT
usage: sign.sh key|sign|verify
  key     make the pair of keys \$KEY.key and \$KEY.pub
  sign    write $out/SHA256SUMS.sigstore.json with \$KEY.key
  verify  check that signature with \$KEY.pub, and every file of $out/SHA256SUMS
variables: KEY, the path of the pair without .key and .pub; COSIGN_PASSWORD of the private key, else it is asked for; OUT
TEXT
}

[[ $# -eq 1 && $1 =~ ^(key|sign|verify)$ ]] || {
  usage >&2
  exit 2
}
[[ -n ${KEY:-} ]] || die "KEY is missing: want the path of the pair of keys without .key and .pub, such as KEY=release"
cosign=$("$go" env GOPATH)/bin/cosign
if ! "$go" version -m "$cosign" 2>/dev/null | grep -q "sigstore/cosign/v3[[:space:]]*$cosign_version"; then
  echo "sign: building cosign $cosign_version"
  GOFLAGS='' "$go" install "github.com/sigstore/cosign/v3/cmd/cosign@$cosign_version" || die "cosign $cosign_version could not be built (see above)"
fi
sums=$out/SHA256SUMS
case $1 in
key)
  [[ ! -e $KEY.key && ! -e $KEY.pub ]] || die "$KEY.key or $KEY.pub exists: it stays as it is"
  "$cosign" generate-key-pair --output-key-prefix "$KEY"
  ;;
sign)
  [[ -f $sums ]] || die "$sums is missing: make packages writes it"
  [[ -f $KEY.key ]] || die "$KEY.key is missing: sign.sh key makes a pair"
  "$cosign" sign-blob --yes --key "$KEY.key" --use-signing-config=false --tlog-upload=false --bundle "$sums.sigstore.json" "$sums" >/dev/null
  echo "sign: wrote $sums.sigstore.json"
  ;;
verify)
  [[ -f $KEY.pub ]] || die "$KEY.pub is missing"
  "$cosign" verify-blob --key "$KEY.pub" --insecure-ignore-tlog=true --bundle "$sums.sigstore.json" "$sums" || die "$sums was not signed with this key, or changed since"
  (cd "$out" && sha256sum --check --quiet SHA256SUMS) || die "files of $out differ from $sums"
  echo "sign: $sums is signed with this key, and $(wc -l <"$sums") files are as it says"
  ;;
esac
