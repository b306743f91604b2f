// Package vex reads OpenVEX documents and says which findings they suppress.
//
// A statement is about a vulnerability of products: images, or packages. Of what is
// said of the same, the latest holds; only not_affected and fixed suppress, until the end
// that their notes give. See the
// OpenVEX specification v0.2.0
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md) and its ATTESTING.md
// for documents in attestations.
package vex
