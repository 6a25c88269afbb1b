#!/usr/bin/env bash
# What release.sh refuses, and what it makes, in a throwaway repository that has the files of this one. BUILD=1 builds and
# signs a release of one program, too: a minute, and more when it has to build its tools.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

pass() { echo "--- PASS: $1"; }
fail() {
  echo "--- FAIL: $1"
  printf '    %s\n' "${@:2}"
  failed=1
}

# refused WHAT TEXT ARGUMENT…: release.sh ends with code 1 and says TEXT.
refused() {
  local -r what=$1 want=$2
  local said code=0
  said=$(deploy/release/release.sh "${@:3}" 2>&1) || code=$?
  if [[ $code -eq 1 && $said == *"$want"* ]]; then pass "$what"; else fail "$what" "code $code, want 1 and: $want" "$said"; fi
}

mkdir "$work/repo"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - --ignore-failed-read) | tar -xf - -C "$work/repo"
cd "$work/repo"
git init -q
git config user.name release
git config user.email release@localhost
git config commit.gpgsign false
changelog() {
  printf '# Changelog\n\n## Unreleased\n\n- [FEATURE] Not released yet.\n\n%s\n\n## 1.3.0 - 2026-01-01\n\n- [BUGFIX] Of an older release.\n' "$1" >CHANGELOG.md
  git add -A
  git commit -q --allow-empty -m changelog
}
tag() { git tag -f -a "$1" -m "$1" >/dev/null; }

changelog '## 1.4.0 - 2026-02-01

- [FEATURE] Something new.
- [CHANGE] Something else.'
refused "a commit without a tag" "has no tag" check
tag v1.4
refused "a tag that is no version" "tag v1.4: want a version such as v1.4.0" check
git tag -d v1.4 >/dev/null
tag v1.4.0
touch forgotten
refused "a file that is not committed" "not everything is committed" check
rm forgotten
refused "no key" "KEY is missing" build
changelog ''
git tag -d v1.4.0 >/dev/null
tag v1.4.0
refused "a version that CHANGELOG.md does not know" "has no section of this version" check
changelog '## 1.4.0

- [FEATURE] Something new.'
tag v1.4.0
refused "a section without a date" "has the heading '## 1.4.0': want '## 1.4.0 - " check
changelog '## 1.4.0 - 2026-02-01'
tag v1.4.0
refused "an empty section" "says nothing about 1.4.0" check
changelog '## 1.4.0 - 2026-02-01

- Something of no kind.'
tag v1.4.0
refused "a line of no kind" "Something of no kind" notes
changelog '## 1.5.0 - 2026-03-01

- [FEATURE] Later.

## 1.4.0 - 2026-02-01

- [FEATURE] Something new.
- [CHANGE] Something else.'
tag v1.5.0
git commit -q --allow-empty -m later
tag v1.4.0
refused "a version older than one before it" "v1.4.0 is older than v1.5.0" check
git tag -d v1.5.0 >/dev/null
if said=$(deploy/release/release.sh check 2>&1) && [[ -z $said ]]; then pass "a commit that is ready"; else fail "a commit that is ready" "$said"; fi
notes=$(deploy/release/release.sh notes)
want='## Changes to know before an upgrade

- Something else.

## New

- Something new.

## Check'
if [[ $notes == "$want"* && $notes != *Later* && $notes != *older* && $notes != *"Not released"* ]]; then pass "the notes"; else fail "the notes" "$notes"; fi

if [[ ${BUILD:-} == 1 ]]; then
  mkdir -p portal/ui/dist && cp -r "$root/portal/ui/dist/." portal/ui/dist
  cp -r "$root/portal/ui/node_modules" portal/ui
  export COSIGN_PASSWORD=test FORMATS=deb ARCHES
  ARCHES=$(go env GOARCH)
  KEY=$work/key deploy/packages/sign.sh key
  KEY=$work/other deploy/packages/sign.sh key
  export KEY=$work/key
  refused "a public key that is not in the repository" "deploy/release/release.pub is missing" build
  cp "$work/other.pub" deploy/release/release.pub
  git add deploy/release/release.pub
  git commit -q -m key
  tag v1.4.0
  refused "a key other than the one people have" "was not signed with this key" build
  cp "$work/key.pub" deploy/release/release.pub
  git commit -q -a -m key
  tag v1.4.0
  deploy/release/release.sh build
  said=$(cd dist && ls && sha256sum --check --quiet SHA256SUMS && cat NOTES.md) || fail "a release" "$said"
  for f in "edge-linux-$(go env GOARCH)" "edge-linux-$(go env GOARCH).cdx.json" "iot-edge_1.4.0-1_$(go env GOARCH).deb"; do
    if grep -q "  $f\$" dist/SHA256SUMS; then pass "a release has $f"; else fail "a release has $f" "$(cat dist/SHA256SUMS)"; fi
  done
  said=$("dist/edge-linux-$(go env GOARCH)" --version)
  if [[ $said == "edge v1.4.0" ]]; then pass "the program says its version"; else fail "the program says its version" "$said"; fi
  if git status --porcelain | grep -q .; then fail "a release leaves the clone as it was" "$(git status --porcelain)"; else pass "a release leaves the clone as it was"; fi
fi
exit "$failed"
