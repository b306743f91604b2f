// Package registry reads OCI registries: which tags a repository has, which
// digest a tag names, and what is behind a digest.
//
// It speaks the OCI distribution specification v1.1
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md)
// through go-containerregistry. What it adds are bounds (time for each request,
// size of each answer, number of tags and platforms) and an [Error] that says
// why something could not be read, so that callers can tell absent from unknown.
package registry
