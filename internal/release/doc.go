// Package release is the domain: what a registry holds, as Tallyman understands
// it. An [Image] is a digest in a repository, a [Tag] names an image for a
// while, and a [Release] is an image under a version tag. A [Look] is one visit
// to a repository; what it could not find out is unknown, never zero. A [Notice]
// tells of one wave of changes.
//
// Names follow the OCI image and distribution specifications, v1.1:
// https://github.com/opencontainers/image-spec and
// https://github.com/opencontainers/distribution-spec.
package release
