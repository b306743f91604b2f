#!/bin/sh
# What no linter of ours knows: go.mod files are tidy, and no shell script has a
# syntax error.
set -eu
cd "$(dirname "$0")/.."
for dir in . e2e e2e/keyless; do
	(cd "$dir" && go mod tidy -diff) || { echo "lint: $dir/go.mod is not tidy: run go mod tidy there" >&2; exit 1; }
done
for script in build/*.sh build/shim/docker .ci/run; do
	sh -n "$script"
done
echo "lint: go.mod files tidy, scripts parse"
