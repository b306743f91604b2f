// Package audit is what the auditor's command finds out and says, from papers alone: it
// judges an image that was looked at, compares two, and lists the releases of a
// repository. It opens no connection, and keeps nothing; who calls it hands in what was
// looked at.
package audit
