#!/usr/bin/env bash
# Runs every fuzz target of the tree in turn, SECONDS in total (default 60).
#
#   scripts/fuzz.sh 60            all targets
#   scripts/fuzz.sh 60 strictyaml only those whose package or name matches
set -euo pipefail
cd "$(dirname "$0")/.."

total=${1:-60}
only=${2:-}

targets=()
while IFS=: read -r file line; do
  name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/' <<<"$line")
  entry="./$(dirname "$file") $name"
  if [ -z "$only" ] || grep -q -- "$only" <<<"$entry"; then
    targets+=("$entry")
  fi
done < <(git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -E '^func Fuzz[A-Za-z0-9_]*\(' /dev/null | sort)

if [ ${#targets[@]} -eq 0 ]; then
  echo "fuzz: no targets found${only:+ that match $only}" >&2
  exit 1
fi
# Whole tenths of a second, at least one each.
each=$((total * 10 / ${#targets[@]}))
[ "$each" -ge 10 ] || each=10
each="$((each / 10)).$((each % 10))s"

echo "fuzz: ${#targets[@]} targets, $each each"
for entry in "${targets[@]}"; do
  read -r package name <<<"$entry"
  # Minimising what is merely interesting can eat a short run whole, so it is
  # kept to a few tries. A run whose time is over just while an input is tried may
  # say so as if it had failed, without an input that does: then it is tried again.
  for try in 1 2 3; do
    output=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" -fuzzminimizetime 20x "$package" 2>&1) && break
    if [ "$try" -lt 3 ] && grep -q '^ *context deadline exceeded' <<<"$output" && ! grep -q 'Failing input' <<<"$output"; then
      continue
    fi
    echo "$output"
    echo "fuzz: $package $name failed; the input is kept under $package/testdata/fuzz/$name" >&2
    echo "  fix: go test -run '$name/…' $package runs it again; mend the code and commit the input" >&2
    exit 1
  done
  # With many inputs kept from before, trying these again may be all there was time for.
  last=$(grep '^fuzz: elapsed' <<<"$output" | tail -n 1)
  did=$(sed -nE 's/.*execs: ([0-9]+).*/\1 inputs/p; s/.*baseline coverage: ([0-9]+).*/\1 kept inputs again/p' <<<"$last")
  echo "  $package $name: ${did:-nothing}"
done
