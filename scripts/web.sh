#!/usr/bin/env bash
# Builds the web console from web/ into the folder that the controller embeds.
# What it makes is committed: building Causeway itself needs no Node.js.
set -euo pipefail
cd "$(dirname "$0")/../web"

command -v npm >/dev/null 2>&1 || {
  echo "web: npm is missing: the console is built with Node.js 20 or newer" >&2
  echo "  fix: install Node.js with npm, and run it again" >&2
  exit 2
}
[ -d node_modules ] && [ node_modules -nt package-lock.json ] || npm ci --no-fund --no-audit
npm run --silent build

# Which sources it was built from: console_test.go compares.
find index.html package.json package-lock.json tsconfig.json vite.config.ts src -type f | LC_ALL=C sort |
  xargs sha256sum | sha256sum | cut -d' ' -f1 >../internal/control/console/dist/SOURCES
