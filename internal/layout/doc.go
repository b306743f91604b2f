// Package layout reads OCI image layouts on disk: a folder, or a tar of one
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
//
// It answers what package registry answers, so that images and their papers are
// looked at in the same way wherever they lie, and it opens no connection. Papers
// lie in a layout as manifests whose subject is the image, under the tags that a
// registry would have, under the kinds that `cosign save` gives to them, and in the
// index as BuildKit puts them.
//
// A layout is foreign: blobs are opened by digest alone, inside the folder, if they
// are regular files, up to a size, and what does not have its digest is refused.
package layout
