#!/usr/bin/env bash
# Builds a Go program of another module, at one version, to a file of ours.
#
#   scripts/tool.sh PACKAGE VERSION FILE [MODULE]
#
# With MODULE, the module that PACKAGE is in, nothing but that version is asked
# for: some mirrors have the version, and no list of versions.
set -euo pipefail
package=$1 version=$2 file=$3 module=${4:-}
echo "tool: building $package $version"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
build() {
  if [ -z "$module" ]; then
    GOBIN=$dir GOFLAGS= go install "$package@$version"
    return
  fi
  printf 'module tool\n\ngo 1.26\n\nrequire %s %s\n' "$module" "$version" >"$dir/go.mod"
  (cd "$dir" && GOFLAGS=-mod=mod go build -o "$dir/$(basename "$package")" "$package")
}
build || {
  echo "tool: could not build $package $version" >&2
  echo "  fix: check the network and GOPROXY; it is needed only once" >&2
  exit 2
}
mkdir -p "$(dirname "$file")"
mv "$dir/$(basename "$package")" "$file"
