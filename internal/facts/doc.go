// Package facts tells what is known of an image: it makes the facts that a policy judges
// ([policy.Facts]) of papers, packages, findings, statements and the age of the
// advisories.
//
// It is the one way of counting. The worker makes facts of a case that its ledger kept,
// `tallyman verify` of one that it looks at ([Look]) and forgets, and both come to the
// same verdict of the same papers and the same advisories.
package facts
