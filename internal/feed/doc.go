// Package feed fetches advisories from where they are published: an OSV bucket, or a
// mirror of one over http, https or in a folder
// (https://google.github.io/osv.dev/data/, "Data dumps"). Of each ecosystem it has
//
//	<base>/<Ecosystem>/all.zip          every record, as <ID>.json
//	<base>/<Ecosystem>/modified_id.csv  <RFC 3339 time>,<ID> of every record, newest first
//	<base>/<Ecosystem>/<ID>.json        one record
//
// A [Client] takes a [Snapshot], the whole zip, which is handed out only after all of
// it was checked; or a delta, the records that the list names as changed since. What
// is partial, shrunken or made to harm is refused, and the caller keeps what it has.
// Records are handed out raw: that one has changed is for its content to say, since
// some databases do not write when they modified it.
package feed
