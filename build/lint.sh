#!/bin/sh
# What no linter of ours knows: go.mod files are tidy, pages are as generated, and no
# shell script has a syntax error.
set -eu
cd "$(dirname "$0")/.."
for dir in . e2e e2e/keyless e2e/login e2e/openapi; do
	(cd "$dir" && go mod tidy -diff) || { echo "lint: $dir/go.mod is not tidy: run go mod tidy there" >&2; exit 1; }
done
pages() { cat internal/console/*.templ internal/console/*_templ.go | git hash-object --stdin; }
before=$(pages)
.tools/bin/templ fmt internal/console && .tools/bin/templ generate -path internal/console >/dev/null 2>&1
[ "$(pages)" = "$before" ] || { echo "lint: the pages of the console were not as generated; they are now" >&2; exit 1; }
for script in build/*.sh build/shim/docker .ci/run; do
	sh -n "$script"
done
echo "lint: go.mod files tidy, pages as generated, scripts parse"
