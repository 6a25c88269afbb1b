#!/usr/bin/env bash
# Builds the programs for amd64 and arm64, static, and of the gateway the packages deb, rpm and apk. The same
# commit gives the same bytes: all times are that of the commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Newer releases of nfpm need a newer Go.
nfpm_version=v2.45.2
out=${OUT:-dist}
go=${GO:-go}
arches=${ARCHES:-amd64 arm64}
formats=${FORMATS:-deb rpm apk}
programs=${PROGRAMS:-edge bridge core portal sim}
export MAINTAINER=${MAINTAINER:-industrial-iot-monitor <root@localhost>}

die() {
  echo "packages: $*" >&2
  exit 1
}

# package_version sets version and prerelease: those of the tag of this commit, such as v1.4.0, else 0.0.0 (or the
# version of the newest tag) with the time of the commit, which orders builds between releases.
package_version() {
  if [[ -n ${PACKAGE_VERSION:-} ]]; then
    [[ $PACKAGE_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "PACKAGE_VERSION=$PACKAGE_VERSION: want a version such as 1.4.0"
    PACKAGE_PRERELEASE=
    return
  fi
  local tag
  if tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null); then
    PACKAGE_VERSION=${tag#v} PACKAGE_PRERELEASE=
    [[ $PACKAGE_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "tag $tag: want a version such as v1.4.0"
    return
  fi
  PACKAGE_VERSION=0.0.0
  # Before release 1.4.1 comes what was built since 1.4.0.
  if tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) && [[ $tag =~ ^v([0-9]+)\.([0-9]+)\.([0-9]+)$ ]]; then
    PACKAGE_VERSION=${BASH_REMATCH[1]}.${BASH_REMATCH[2]}.$((BASH_REMATCH[3] + 1))
  fi
  PACKAGE_PRERELEASE=git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)
}

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null)} || die "no time of the commit: set SOURCE_DATE_EPOCH outside a git clone"
export SOURCE_DATE_EPOCH
package_version
export PACKAGE_VERSION PACKAGE_PRERELEASE
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
ldflags=${LDFLAGS:--s -w -X industrial-iot-monitor/internal/ops.Version=$version}

mkdir -p "$out"
rm -f "$out"/iot-edge[_-]*.{deb,rpm,apk} "$out"/*-linux-{amd64,arm64}{,.cdx.json} "$out"/SHA256SUMS
for arch in $arches; do
  for program in $programs; do
    echo "build $out/$program-linux-$arch"
    CGO_ENABLED=0 GOOS=linux GOARCH=$arch "$go" build -trimpath -ldflags "$ldflags" -o "$out/$program-linux-$arch" "./$program"
  done
done

# A copy of what is packed, with the time of the commit and modes that do not depend on the umask of the clone.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/deploy" "$stage/docs"
cp -r deploy/packages deploy/mappings "$stage/deploy"
cp docs/{edge,site,site.zh-CN}.md "$stage/docs"
cp LICENSE "$stage"
nfpm=$("$go" env GOPATH)/bin/nfpm
if ! "$go" version -m "$nfpm" 2>/dev/null | grep -q "goreleaser/nfpm/v2[[:space:]]*$nfpm_version"; then
  GOFLAGS='' "$go" install "github.com/goreleaser/nfpm/v2/cmd/nfpm@$nfpm_version" || die "nfpm $nfpm_version could not be built (see above)"
fi
for arch in $arches; do
  cp "$out/edge-linux-$arch" "$stage/edge-linux-$arch"
done
find "$stage" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
to=$(cd "$out" && pwd)
for arch in $arches; do
  for format in $formats; do
    (cd "$stage" && ARCH=$arch BINARY=edge-linux-$arch "$nfpm" package --config deploy/packages/nfpm.yaml --packager "$format" --target "$to/") ||
      die "packing $format for $arch failed (see above)"
  done
done
(cd "$out" && find . -maxdepth 1 -type f \( -name 'iot-edge*' -o -name '*-linux-*' \) -printf '%P\0' | sort -z | xargs -0 sha256sum >SHA256SUMS)
echo "packages: $(wc -l <"$out/SHA256SUMS") files in $out, see $out/SHA256SUMS"
