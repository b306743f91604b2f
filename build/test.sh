#!/bin/sh
# Runs the tests of the product and of what is deployed, and lists what was
# skipped and why. With CI=true a skip is a failure.
#
#   build/test.sh [go test flags…]
set -u
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
run() { # folder, packages, flags
	dir=$1 packages=$2
	shift 2
	# -count=1: some tests read files that Go's test cache does not know of.
	(cd "$dir" && go test -count=1 -v "$@" $packages) >"$log.part" 2>&1 || status=1
	# One line a package, and everything about a failure.
	grep -E '^(ok|FAIL|---|panic|\?)|no test files' "$log.part" | grep -Ev '^--- (PASS|SKIP)|no test files' || true
	if [ $status -ne 0 ]; then
		grep -B 60 -E '^ *--- FAIL|^panic|^FAIL|cannot|undefined|^#' "$log.part" | tail -n 200
	fi
	cat "$log.part" >>"$log"
	rm -f "$log.part"
}

# The tag is that of the release (.goreleaser.yaml).
run . ./... -tags=nopgxregisterdefaulttypes,grpcnotrace "$@"
run e2e './deploy ./workflows ./workbench' "$@"
run e2e/login ./... "$@"
run e2e/openapi ./... "$@"

passed=$(grep -cE '^ *--- PASS' "$log")
failed=$(grep -cE '^ *--- FAIL' "$log")
skipped=$(grep -cE '^ *--- SKIP' "$log")
if [ "$skipped" -gt 0 ]; then
	echo "skipped:"
	# The reason is the line before: file:line: reason.
	grep -B 1 -E '^ *--- SKIP|^ +.*_test.go:[0-9]+: needs ' "$log" | grep -E '_test.go:[0-9]+:|--- SKIP|storetest' | sed 's/^ */  /' | sort | uniq -c | sort -rn | head -n 30
	if [ "${CI:-}" = true ]; then
		echo "CI=true: a skip is a failure"
		status=1
	fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $status
