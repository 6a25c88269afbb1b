#!/usr/bin/env bash
# Makes a release of the commit that is checked out, in dist: programs and packages of amd64 and arm64, what each
# program is made of (SBOM), checksums of everything with a signature, and the notes, which are the version's section of
# CHANGELOG.md. It publishes nothing: the workflow release does, from the same files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=dist
make=${MAKE:-make}

die() {
  echo "release: $*" >&2
  exit 1
}

usage() {
  cat <<TEXT
usage: release.sh check|notes|build
  check  say whether this commit can be released: its tag, its section in CHANGELOG.md, nothing uncommitted
  notes  print the notes of the release
  build  check, and make $out
variables: KEY, the path of the pair of keys of \`make sign\` without .key, or UNSIGNED=1
TEXT
}

# set_version sets tag and version from the tag of this commit.
set_version() {
  local -a tags
  mapfile -t tags < <(git tag --points-at HEAD --list 'v[0-9]*')
  [[ ${#tags[@]} -gt 0 ]] || die "this commit has no tag: want one such as v1.4.0 (git tag -a v1.4.0)"
  [[ ${#tags[@]} -eq 1 ]] || die "this commit has the tags ${tags[*]}: want one"
  tag=${tags[0]}
  [[ $tag =~ ^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]] || die "tag $tag: want a version such as v1.4.0"
  version=${tag#v}
}

# section prints what CHANGELOG.md says of the version, without its heading.
section() {
  awk -v heading="## $version " '
    index($0 " ", heading) == 1 { inside = 1; next }
    /^## / { inside = 0 }
    inside { lines[++n] = $0 }
    END {
      first = 1
      while (first <= n && lines[first] == "") first++
      while (n >= first && lines[n] == "") n--
      for (i = first; i <= n; i++) print lines[i]
    }
  ' CHANGELOG.md
}

check() {
  set_version
  local changed newest heading
  changed=$(git status --porcelain --untracked-files=normal)
  [[ -z $changed ]] || die "not everything is committed:"$'\n'"$changed"
  newest=$(git tag --list 'v[0-9]*' --merged HEAD --sort=-version:refname | head -1)
  [[ $newest == "$tag" ]] || die "$tag is older than $newest, which this commit has in it"
  heading=$(grep -E "^## ${version//./\\.}( |\$)" CHANGELOG.md) || die "CHANGELOG.md has no section of this version: want the heading '## $version - $(date -u +%F)' under Unreleased"
  [[ $heading =~ ^\#\#\ $version\ -\ [0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || die "CHANGELOG.md has the heading '$heading': want '## $version - $(date -u +%F)'"
  [[ $(section) == *'- ['* ]] || die "CHANGELOG.md says nothing about $version: want lines such as '- [FEATURE] …'"
}

# notes prints changes that break something first: who reads no further has read those.
notes() {
  local -r text=$(section)
  local kind title lines
  for kind in CHANGE FEATURE ENHANCEMENT BUGFIX; do
    case $kind in
    CHANGE) title='Changes to know before an upgrade' ;;
    FEATURE) title='New' ;;
    ENHANCEMENT) title='Better' ;;
    BUGFIX) title='Mended' ;;
    esac
    lines=$(sed -n "s/^- \[$kind\] /- /p" <<<"$text")
    [[ -z $lines ]] || printf '## %s\n\n%s\n\n' "$title" "$lines"
  done
  lines=$(grep -Ev '^- \[(CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] |^$' <<<"$text" || true)
  [[ -z $lines ]] || die "CHANGELOG.md, section $version: lines that are no '- [CHANGE|FEATURE|ENHANCEMENT|BUGFIX] …':"$'\n'"$lines"
  cat <<TEXT
## Check what you downloaded

    sha256sum --check --ignore-missing SHA256SUMS
    cosign verify-blob --key deploy/release/release.pub --insecure-ignore-tlog=true --bundle SHA256SUMS.sigstore.json SHA256SUMS

The key is in the repository: one that you cloned before cannot have been changed with a release. \`docs/upgrade.md\` has the order in which programs are upgraded.
TEXT
}

build() {
  check
  if [[ ${UNSIGNED:-} != 1 ]]; then
    [[ -n ${KEY:-} ]] || die "KEY is missing: want the path of the pair of keys that signs, without .key (deploy/packages/sign.sh key makes one), or UNSIGNED=1"
    [[ -f $KEY.key ]] || die "$KEY.key is missing"
    [[ -f deploy/release/release.pub ]] || die "deploy/release/release.pub is missing: commit the public key, by which people check a release"
  fi
  rm -rf "$out" # no file of another release
  "$make" packages sbom-packages VERSION="$tag" PACKAGE_VERSION="$version"
  local -r program=$(find "$out" -maxdepth 1 -name "*-linux-$(go env GOARCH)" | sort | head -1)
  [[ $("$program" --version) == *" $tag" ]] || die "$program says it is $("$program" --version): want $tag"
  notes >"$out/NOTES.md"
  (cd "$out" && find . -maxdepth 1 -type f ! -name 'SHA256SUMS*' ! -name NOTES.md -printf '%P\0' | sort -z | xargs -0 sha256sum >SHA256SUMS)
  if [[ ${UNSIGNED:-} != 1 ]]; then
    deploy/packages/sign.sh sign
    KEY=deploy/release/release deploy/packages/sign.sh verify # the key is the one that people have
  else
    echo "release: $out is not signed"
  fi
  echo "release: $tag is in $out: $(wc -l <"$out/SHA256SUMS") files, notes in $out/NOTES.md"
}

case ${1:-} in
check | build) "$1" ;;
notes)
  set_version
  notes
  ;;
*)
  usage >&2
  exit 2
  ;;
esac
