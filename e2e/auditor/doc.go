// Package auditor measures and tries the command of the auditor on loopback, against the
// pinned cosign.
package auditor
