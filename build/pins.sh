#!/bin/sh
# Every pinned image and action still resolves to what is pinned. Needs the
# network; the nightly workflow runs it. That equal things are pinned equally is
# a test: e2e/workflows.
set -eu
cd "$(dirname "$0")/.."
crane=.tools/bin/crane
status=0
# Dockerfiles, and images that workflows name.
for ref in $(grep -rhoE '[a-z0-9./-]+(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}' build .github/workflows deploy/compose | sort -u); do
	if "$crane" manifest "$ref" >/dev/null; then
		echo "ok       $ref"
	else
		echo "MISSING  $ref" >&2
		status=1
	fi
done
# Actions: owner/name[/path]@commit # version
grep -rhoE 'uses: [^ @]+@[0-9a-f]{40} # v[0-9.]+' .github/workflows | sed 's/^uses: //' | sort -u >"${TMPDIR:-/tmp}/tallyman-pins.$$"
while read -r use _ version; do
	repository=$(echo "${use%@*}" | cut -d/ -f1-2)
	pinned=${use#*@}
	found=$(git ls-remote "https://github.com/$repository" "refs/tags/$version" "refs/tags/$version^{}" | tail -n 1 | cut -f1)
	if [ "$found" = "$pinned" ]; then
		echo "ok       $repository $version"
	else
		echo "DIFFERS  $repository $version: pinned $pinned, found ${found:-nothing}" >&2
		status=1
	fi
done <"${TMPDIR:-/tmp}/tallyman-pins.$$"
rm -f "${TMPDIR:-/tmp}/tallyman-pins.$$"
exit $status
