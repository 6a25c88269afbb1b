#!/usr/bin/env bash
# Writes the badge of README for a coverage profile of Go; ends with code 1 when the figure is below LEAST percent. The
# figure is that of the product: the programs in test and loadtest are tests themselves, and run as processes of their own.
# A badge that is no more than a point away stays: which lines a test reaches differs a little between two runs.
set -euo pipefail
least=${LEAST:-85}
[[ $# -eq 2 && -f $1 ]] || {
  echo "usage: badge.sh coverage.out badge.svg" >&2
  exit 2
}
product=$(mktemp)
trap 'rm -f "$product"' EXIT
# total prints the coverage of a profile in percent.
total() {
  "${GO:-go}" tool cover -func="$1" | awk '$1 == "total:" { sub("%", "", $NF); print $NF }'
}
grep -vE '^[^/]+/(test|loadtest)/' "$1" >"$product"
total=$(total "$product")
[[ $total =~ ^[0-9]+\.[0-9]$ ]] || {
  echo "coverage: $1 has no total" >&2
  exit 1
}
echo "coverage: $total % ($(total "$1") % with the programs of the tests)"
whole=${total%.*} # rounded down
shown=$(sed -n 's/.*aria-label="coverage \([0-9]*\) %".*/\1/p' "$2" 2>/dev/null || true)
if [[ -z $shown ]] || ((whole - shown > 1 || shown - whole > 1)); then
  color='#2da44e'
  ((whole >= least)) || color='#cf222e'
  cat >"$2" <<SVG
<svg xmlns="http://www.w3.org/2000/svg" width="112" height="20" role="img" aria-label="coverage $whole %">
<rect width="112" height="20" rx="3" fill="#57606a"/>
<path d="M66 0h43a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H66z" fill="$color"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="33" y="14">coverage</text><text x="89" y="14">$whole %</text>
</g>
</svg>
SVG
  echo "coverage: wrote $2"
fi
((whole >= least)) || {
  echo "coverage: the goal is $least %" >&2
  exit 1
}
