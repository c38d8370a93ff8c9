#!/usr/bin/env bash
# Runs Go's tests under the race detector:
#
#   scripts/test.sh                all
#   scripts/test.sh ./internal/... some
#
# Many of them drive real programs, sockets and namespaces, and a shared machine may
# stop for a second just then. So when at most three packages fail, these are run a
# second time, alone. Who fails twice has failed; who passes is named at the end as
# unsteady, which is a defect to look into. A data race, a panic, or a package that
# does not build is never tried again.
set -uo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- ./...
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"${GO:-go}" test -race "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
[ "$status" -ne 0 ] || exit 0

mapfile -t failed < <(sed -nE 's/^FAIL\t([^[:space:]]+)\t.*/\1/p' "$log" | sort -u)
if grep -qE 'WARNING: DATA RACE|^[[:space:]]*(panic|fatal error): |\[(build|setup) failed\]' "$log" || [ ${#failed[@]} -eq 0 ] || [ ${#failed[@]} -gt 3 ]; then
  exit "$status"
fi
echo "== once more, alone: ${failed[*]}"
"${GO:-go}" test -race -count=1 -p 1 "${failed[@]}" || exit $?
echo "== UNSTEADY: failed in the crowd and passed alone: ${failed[*]}" >&2
