// Package keyless signs images with a private Sigstore on loopback, and has the
// tallyman command verify them: Fulcio with an OIDC issuer and a certificate
// log, Rekor 2 and a timestamp authority, all as their projects publish them,
// and the pinned cosign.
//
// It is a module of its own because of what these servers depend on. Rekor 1
// is not run: what it and the layouts of cosign 2 give is recorded in the tests
// of internal/evidence.
package keyless
