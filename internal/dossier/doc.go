// Package dossier keeps images with all their papers in one file, checks such a file
// without a network, and moves images with their papers to another registry.
//
// A dossier is an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md) in a tar,
// compressed with Zstandard (RFC 8878), so that tools which know nothing of dossiers
// unpack and use it. Each entry of the tar is a Zstandard frame of its own, and a table
// of contents with the hash of each frame follows in a skippable frame, which
// decompressors pass over. So every byte of the file is covered by a hash, what is
// damaged has a name, and blobs are read where they lie.
//
// In the layout are the images, every paper in the way it was found, and an artifact
// whose one layer is dossier.json ([Manifest]): what lies there, why, since when, and
// what was found when its papers were verified. docs/dossier.md has the format.
//
// That a file is whole says nothing of who made it. What it proves is what its papers
// prove to somebody who brings the keys along.
package dossier
