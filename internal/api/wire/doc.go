// Package wire has the shapes in which the API tells of the tally: the JSON that clients
// read, and, through the tags, the OpenAPI document. They change only by addition within
// one version of the API.
//
// What is not known is null, never 0 and never left out, and a field beside it whose
// name ends in unknown_because says why. A list is never null. Times are RFC 3339 in
// UTC, durations are seconds, sizes are bytes.
package wire
