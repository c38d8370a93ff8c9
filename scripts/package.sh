#!/usr/bin/env bash
# Builds the packages: deb, rpm and apk, an OCI image, checksums, and a bill of
# materials, into out/packages. The same source gives the same bytes.
#
#   scripts/package.sh                   for this machine's architecture
#   ARCHES="amd64 arm64" scripts/package.sh
#   PACKAGES=dir scripts/package.sh      into another folder
set -euo pipefail
cd "$(dirname "$0")/.."

out=${PACKAGES:-out/packages}
stage=out/stage
VERSION=${VERSION:-$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)}
# Everything carries the time of the commit, so that time leaves no trace.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1)}
MTIME=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
export VERSION SOURCE_DATE_EPOCH MTIME

nfpm=.cache/nfpm-v2.45.0
cyclonedx=.cache/cyclonedx-gomod-v1.7.0
[ -x "$nfpm" ] || scripts/tool.sh github.com/goreleaser/nfpm/v2/cmd/nfpm v2.45.0 "$nfpm"
[ -x "$cyclonedx" ] || scripts/tool.sh github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod v1.7.0 "$cyclonedx" github.com/CycloneDX/cyclonedx-gomod

mkdir -p "$out"
for arch in ${ARCHES:-$(go env GOARCH)}; do
  echo "package: causeway $VERSION for $arch"
  rm -rf "$stage"
  mkdir -p "$stage/man" "$stage/completions"
  CGO_ENABLED=0 GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.release=$VERSION" -o "$stage/causeway" ./cmd/causeway

  # Man pages and completions come from the commands themselves, on this machine.
  go run -buildvcs=false -ldflags "-X main.release=$VERSION" -tags mandocs ./cmd/causeway man "$stage/man"
  for shell in bash zsh fish; do
    go run -buildvcs=false ./cmd/causeway completion "$shell" >"$stage/completions/causeway.$shell"
  done
  "$cyclonedx" bin -json -noserial -version "$VERSION" -output "$stage/sbom.json" "$stage/causeway" 2>/dev/null
  # Its time of writing is the only thing in it that changes.
  sed -E 's/"timestamp": "[^"]*"/"timestamp": "'"$MTIME"'"/' "$stage/sbom.json" >"$stage/causeway.cdx.json"
  gzip -9n "$stage"/man/*.1
  cp -r packaging/systemd packaging/grafana packaging/prometheus LICENSE "$stage/"
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

  for kind in deb rpm apk; do
    GOARCH=$arch "$nfpm" package --config packaging/nfpm.yaml --packager "$kind" --target "$out/" >"$stage/nfpm.log" 2>&1 || {
      cat "$stage/nfpm.log" >&2
      exit 1
    }
  done
  (cd packaging/image && go run . -program "../../$stage/causeway" -version "$VERSION" -arch "$arch" -epoch "$SOURCE_DATE_EPOCH" -out "../../$stage/image.tar")
  mv "$stage/image.tar" "$out/causeway-$VERSION-$arch.oci.tar"
  cp "$stage/causeway.cdx.json" "$out/causeway-$VERSION-$arch.cdx.json"
done
(cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
cat "$out/SHA256SUMS"
