// Package rebuild rebuilds a release from its source and compares what comes out
// with what was published.
//
//	Claim    what verified provenance says an image was built from
//	Checkout that commit, in a folder of its own
//	Build    it with the tools that are pinned at the commit, as docs/reproduce.md tells
//	Compare  index, manifests, configurations, layers, files, bytes
//	Attest   the build as SLSA provenance by whoever rebuilt, where nothing differs
//
// Comparing goes as deep as it takes: what differs only because something inside of
// it differs, such as the digest of an index, is not told. Of a Go binary it tells
// what the build was given, and from all differences what usually causes them.
//
// What is compared is foreign on both sides. It is read up to limits, decompressed
// up to limits, and nothing of it is written to disk: names of files are told, quoted
// where they are not plain text, and never opened. Equal inputs give equal reports;
// there is no time in them.
package rebuild
