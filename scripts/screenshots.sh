#!/usr/bin/env bash
# Takes the pictures of the console that the README shows: of a lab whose tunnels
# carry traffic over a lossy Internet, in headless Chromium. Needs root; takes some
# minutes; installs Chromium and what the lab needs when missing.
#
#   scripts/screenshots.sh [FOLDER]     default: out/screenshots; copy what is good to docs/images
#
# WATCH=300 looks on for five minutes first, so that charts have more in them.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-out/screenshots}")

scripts/setup.sh
scripts/setup.sh web
[ -d web/node_modules ] && [ web/node_modules -nt web/package-lock.json ] || (cd web && npm ci --no-fund --no-audit)

lab=pic$$
traffic=()
trap 'kill "${traffic[@]}" 2>/dev/null || true; bin/causeway lab down "$lab" >/dev/null || true' EXIT
bin/causeway lab up seoul-shanghai --name "$lab"
on() { bin/causeway lab exec --lab "$lab" "$1" -- "${@:2}"; }

# 4 Mbit/s each way through the accelerated tunnel, for as long as it takes.
on se-lan iperf3 -s -1 -B 10.2.1.10 >/dev/null & traffic+=($!)
sleep 2
on sh-lan iperf3 -c 10.2.1.10 -u -b 4M -l 1200 -t 3600 --bidir >/dev/null & traffic+=($!)

WATCH=${WATCH:-90} on controller node web/test/screenshots.mjs "/run/causeway-lab/$lab/controller/data/admin.yaml" "$out"
ls -l "$out"
