// Package api serves the tally to programs: JSON under /api/v1, described by an OpenAPI
// 3.1 document; documents byte for byte; CSV and SARIF; badges, Atom feeds and metrics.
//
// An operation is declared once, with its path, its parameters as a struct, what it
// answers with and the role that may call it. The route, the check of what comes in, the
// document and the page that shows it follow from that. The document is made by huma from
// the Go types, of this package and package wire, when they change: make
// docs writes it, and the program carries it.
//
// What is not known is never told as 0: it is null in JSON, empty in CSV, and absent from
// metrics.
package api
