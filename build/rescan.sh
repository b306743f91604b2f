#!/bin/sh
# Judges the last releases again, from their papers alone, with the advisories of now.
#
#   TALLYMAN_REGISTRY   registry and namespace of the images, which are those of .goreleaser.yaml
#   COSIGN_PUBLIC_KEY   who signed; or, keyless:
#   TALLYMAN_SIGN_PATTERN, TALLYMAN_SIGN_ISSUER, TALLYMAN_TRUSTED_ROOT
#                       anchored expression for the certificate identity, its issuer, file of the trusted root
#   TALLYMAN_DB         advisory database, as `tallyman db update` leaves it
#   RESCAN_RELEASES     how many versions of each image (3)
#   RESCAN_INSECURE     host[:port] of a registry that speaks plain HTTP
#
# Ends with 1 when a release does not pass any more, 3 when that could not be told, as tallyman does.
set -eu
tallyman=${TALLYMAN:-.tools/bin/tallyman}
: "${TALLYMAN_REGISTRY:?rescan: set TALLYMAN_REGISTRY, as in ghcr.io/owner/repository}"
if [ -n "${COSIGN_PUBLIC_KEY:-}" ]; then
	set -- --key "$COSIGN_PUBLIC_KEY"
else
	set -- --identity-pattern "${TALLYMAN_SIGN_PATTERN:?rescan: set COSIGN_PUBLIC_KEY, or TALLYMAN_SIGN_PATTERN}" \
		--issuer "${TALLYMAN_SIGN_ISSUER:?}" --trusted-root "${TALLYMAN_TRUSTED_ROOT:?}"
fi
if [ -n "${RESCAN_INSECURE:-}" ]; then set -- "$@" --insecure "$RESCAN_INSECURE"; fi
repositories=$("$tallyman" release images) || exit 3
worst=0
for repository in $repositories; do
	# A list that cannot be had is not an empty one.
	listed=$("$tallyman" releases "$@" --format json --number "${RESCAN_RELEASES:-3}" "$repository") || {
		code=$?
		echo "rescan: list the releases of $repository: exit status $code" >&2
		exit "$code"
	}
	versions=$(printf '%s\n' "$listed" | sed -n 's/^ *"version": "\(v[^"]*\)",*$/\1/p')
	[ -n "$versions" ] || { echo "rescan: $repository has no release" >&2; exit 3; }
	for version in $versions; do
		code=0
		"$tallyman" verify "$@" --policy built-in "$repository:$version" || code=$?
		[ "$code" -eq 0 ] || echo "rescan: $repository:$version: exit status $code" >&2
		# What does not hold weighs more than what could not be told.
		case $code in
		0) ;;
		1) worst=1 ;;
		*) [ "$worst" -eq 1 ] || worst=$code ;;
		esac
	done
done
exit "$worst"
