#!/usr/bin/env bash
# Builds a Go program of another module, at one version, to a file of ours.
#
#   scripts/tool.sh MODULE/PATH VERSION FILE
set -euo pipefail
package=$1 version=$2 file=$3
echo "tool: building $package $version"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOBIN=$dir GOFLAGS= go install "$package@$version" || {
  echo "tool: could not build $package $version" >&2
  echo "  fix: check the network and GOPROXY; it is needed only once" >&2
  exit 2
}
mkdir -p "$(dirname "$file")"
mv "$dir/$(basename "$package")" "$file"
