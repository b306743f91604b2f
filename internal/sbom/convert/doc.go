// Package convert turns an SBOM of one format into another: SPDX 2.x
// (https://spdx.github.io/spdx-spec/v2.3/) into CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/),
// CycloneDX 1.2 to 1.6 into SPDX 2.3, either of them into a table.
//
// A conversion is no attested document, and says so itself: what it was made of, by
// digest, and what the other format has no place for. It is a function of the original
// alone; its time is that of the original.
package convert
