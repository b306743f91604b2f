// Package evidence finds the papers of an image, verifies them and explains the
// result.
//
// Papers are looked for on the index and on each platform manifest, in every
// layout that is in use: the referrers API and its fallback tag (OCI distribution
// specification 1.1), the .sig, .att and .sbom tags of cosign 2, Sigstore bundles
// as cosign 2.6 and 3 attach them, and the attestations that BuildKit puts into
// the index. What a layer is, its media type says; artifact types are wrong too
// often to be a filter.
//
// Signatures are verified by sigstore-go, offline: the [Trust] has the keys, the
// identities and the trusted root, and no host but the registry is contacted. What
// cosign 2 keeps in annotations is put before the same verifier as a bundle is.
//
// Each piece of evidence is verified, invalid, absent or unknown. A registry that
// throttles, refuses, fails or lies, and a paper that is too large or of an
// unsupported format, leave it unknown.
package evidence
