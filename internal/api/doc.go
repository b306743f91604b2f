// Package api serves the tally to programs: JSON under /api/v1, described by an OpenAPI
// 3.1 document that huma makes from the Go types of package wire; documents byte for
// byte; CSV and SARIF; badges, Atom feeds and metrics.
//
// An operation is declared once, with its path, its parameters as a struct, what it
// answers with and the role that may call it. The route, the check of what comes in, the
// document and the page that shows it follow from that. Of huma its schemas, its
// validation and its document are used, not its Register: that is compiled anew for each
// operation, 28 KB each, and keeps its form of errors in a package variable.
//
// What is not known is never told as 0: it is null in JSON, empty in CSV, and absent from
// metrics.
package api
