#!/bin/sh
# Builds the pinned tools that are named, or all of them, into .tools/bin.
#
#   build/tools.sh [NAME…]
#
# A tool is built again only when its module's go.mod or go.sum, or the Go
# version, has changed; then Go's own cache decides what that means.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.tools/bin
stamps=$PWD/.tools/stamp
mkdir -p "$bin" "$stamps"

# name, module folder, package
catalogue='
goreleaser    tools             github.com/goreleaser/goreleaser/v2
cosign        tools             github.com/sigstore/cosign/v2/cmd/cosign
syft          tools             github.com/anchore/syft/cmd/syft
buildx        tools             github.com/docker/buildx/cmd/buildx
buildkitd     tools             github.com/moby/buildkit/cmd/buildkitd
buildctl      tools             github.com/moby/buildkit/cmd/buildctl
runc          tools             github.com/opencontainers/runc
crane         tools             github.com/google/go-containerregistry/cmd/crane
golangci-lint tools/lint        github.com/golangci/golangci-lint/v2/cmd/golangci-lint
actionlint    tools/actionlint  github.com/rhysd/actionlint/cmd/actionlint
govulncheck   tools/lint        golang.org/x/vuln/cmd/govulncheck
templ         tools/templ       github.com/a-h/templ/cmd/templ
osv-scanner   tools/lint        github.com/google/osv-scanner/v2/cmd/osv-scanner
'
release='goreleaser cosign syft govulncheck buildx buildkitd buildctl runc crane'

[ $# -gt 0 ] || set -- $release
total=$#
n=0
for name in "$@"; do
	n=$((n + 1))
	line=$(printf '%s' "$catalogue" | awk -v name="$name" '$1 == name { print $2, $3 }')
	[ -n "$line" ] || { echo "tools: no tool named '$name'; known: $(printf '%s' "$catalogue" | awk 'NF { printf "%s ", $1 }')" >&2; exit 2; }
	module=${line% *}
	package=${line#* }
	# runc can filter system calls, as a Dockerfile's RUN wants it to, only with libseccomp.
	tags=
	if [ "$name" = runc ] && pkg-config --exists libseccomp 2>/dev/null; then tags=seccomp; fi
	stamp=$( (go env GOVERSION; echo "$tags"; cat "$module/go.mod" "$module/go.sum") | git hash-object --stdin)
	if [ -x "$bin/$name" ] && [ "$(cat "$stamps/$name" 2>/dev/null)" = "$stamp" ]; then
		continue
	fi
	echo "tools: [$n/$total] building $name …" >&2
	start=$(date +%s)
	(cd "$module"
	# Some tools know their version only from the linker, and write it into what they make.
	version=$(go list -f '{{.Module.Version}}' "$package")
	case $name in
	syft) stamped=main.version=${version#v} ;;
	buildx) stamped=github.com/docker/buildx/version.Version=$version ;;
	buildkitd | buildctl) stamped=github.com/moby/buildkit/version.Version=$version ;;
	*) stamped=main.unused= ;;
	esac
	go build -trimpath -buildvcs=false -tags="$tags" -ldflags="-s -w -X $stamped" -o "$bin/$name" "$package")
	echo "$stamp" >"$stamps/$name"
	seconds=$(($(date +%s) - start))
	echo "$seconds" >"$stamps/$name.seconds"
	echo "tools: [$n/$total] $name ($seconds s)" >&2
done
