#!/usr/bin/env bash
# Makes api/gen and api/openapi anew from api/proto, with pinned tools. What it
# makes is committed, so that building Causeway needs none of them. Needs npm.
set -euo pipefail
cd "$(dirname "$0")/.."
buf=1.75.0 go=v1.36.12 connect=v1.21.1 openapi=v0.21.2
tools=$PWD/.cache/generate-$buf-$go-$connect-$openapi
if [ ! -x "$tools/bin/protoc-gen-connect-openapi" ]; then
  mkdir -p "$tools/bin"
  npm install --silent --no-audit --no-fund --prefix "$tools" "@bufbuild/buf@$buf"
  scripts/tool.sh google.golang.org/protobuf/cmd/protoc-gen-go "$go" "$tools/bin/protoc-gen-go"
  scripts/tool.sh connectrpc.com/connect/cmd/protoc-gen-connect-go "$connect" "$tools/bin/protoc-gen-connect-go"
  # By way of a module of its own: some mirrors cannot list this module's
  # versions, which `go install module@version` asks for.
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  (cd "$dir" && go mod init causeway-tool >/dev/null 2>&1 && go mod edit -require "github.com/sudorandom/protoc-gen-connect-openapi@$openapi" &&
    printf 'package tool\n\nimport _ "github.com/sudorandom/protoc-gen-connect-openapi"\n' >tool.go && GOFLAGS= go mod tidy >/dev/null 2>&1 &&
    GOFLAGS= go build -o "$tools/bin/protoc-gen-connect-openapi" github.com/sudorandom/protoc-gen-connect-openapi)
fi
export PATH=$tools/bin:$tools/node_modules/.bin:$PATH
cd api
buf lint
buf generate
buf generate --template buf.gen.openapi.yaml
