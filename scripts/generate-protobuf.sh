#!/bin/sh
# Makes the gen/ beside each proto/ of src/sandbox (CRI, NRI) with pinned tools, installed in a temporary folder and removed afterwards.
set -eu
BUF=1.75.0
PROTOC_GEN_ES=2.17.0

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$root/node_modules/.bin:$PATH

cd "$work"
printf '{"private":true}\n' >package.json
# The packages of the platform hold the binaries: no install script is needed.
npm install --no-audit --no-fund --ignore-scripts --loglevel=error "@bufbuild/buf@$BUF" "@bufbuild/protoc-gen-es@$PROTOC_GEN_ES"
cat >buf.gen.yaml <<'YAML'
version: v2
clean: true
plugins:
  - local: protoc-gen-es
    out: gen
    # erasable_syntax: no TypeScript enums, so that Node runs the file as it is.
    opt: [target=ts, erasable_syntax=true]
YAML
for interface in cri nri; do
  rm -rf proto
  cp -r "$root/src/sandbox/$interface/proto" proto
  PATH=$work/node_modules/.bin:$PATH buf generate proto
  rm -rf "$root/src/sandbox/$interface/gen"
  cp -r gen "$root/src/sandbox/$interface/gen"
done
