// Package gate decides whether images that were just built may be published: it counts
// what the advisories say of their SBOMs, lets waivers speak, asks a policy, and writes
// down the decision as a receipt ([receipt.Receipt]) that travels with the image.
//
// It counts as the worker and `tallyman verify` do, by package facts, so that a release
// that passed here and is looked at with the same advisories passes there. What could
// not be told stops a release as what is known to be wrong does.
package gate
