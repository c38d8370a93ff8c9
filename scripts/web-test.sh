#!/usr/bin/env bash
# Tests the web console in headless Chromium against a controller and two PoPs,
# in a network namespace of its own. Needs root; installs Chromium when missing.
#
#   scripts/web-test.sh                 run the tests
#   SCREENSHOTS=dir scripts/web-test.sh and leave pictures of the pages there
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh web
[ -d web/node_modules ] && [ web/node_modules -nt web/package-lock.json ] || (cd web && npm ci --no-fund --no-audit)

ns=cw-console-$$
ip netns add "$ns"
trap 'ip netns del "$ns"' EXIT
ip -n "$ns" link set lo up
# Addresses of the documentation ranges: two PoPs and a device beyond each.
for a in 198.51.100.10 198.51.100.11 198.51.100.12 198.51.100.20 198.51.100.21 198.51.100.22 192.0.2.7 192.0.2.8; do
  ip -n "$ns" address add "$a/32" dev lo
done
ip netns exec "$ns" node --test --test-reporter spec web/test/console.e2e.mjs
