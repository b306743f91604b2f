// Package openapi holds the API against its own OpenAPI document, with a validator that
// had no part in making either: the document has to be one, and every request that the
// tests of internal/api make, and its answer, has to be as the document says.
//
// It is a module of its own because the validator needs newer versions of what the
// product uses.
package openapi
