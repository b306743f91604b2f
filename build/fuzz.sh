#!/bin/sh
# Runs every fuzz target of the product for a while each.
#
#   build/fuzz.sh [TIME]     as 10s
#
# Making new inputs smaller is bounded: a minute for each, the default, is all of TIME.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
n=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz: $package $target ($time)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package"
		n=$((n + 1))
	done
done
[ "$n" -gt 0 ] || { echo "fuzz: no target found" >&2; exit 1; }
