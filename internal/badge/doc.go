// Package badge makes the small SVG images that a README shows: the verdict of a
// release, and its count of critical findings.
//
// A badge is shown by other sites through an img element, where it has no style
// sheet, no script and no font of ours: it is one self-contained file that holds
// presentation attributes only, has its text fitted with textLength, and names
// itself to screen readers. Equal input gives equal bytes.
package badge
