// Package store keeps the tally in a database: SQLite in a file for one machine,
// PostgreSQL for many. One schema and one set of statements serve both; what
// differs between the engines is in sqlite.go and postgres.go.
//
// [Open] brings the schema up to date, including that of River, the job queue
// that lives in the same database so that a job and the change that causes it
// can share a transaction. Any number of processes may open one database at the
// same time.
//
// A Store implements the interfaces that packages tally and console declare. It
// is safe for concurrent use.
package store
