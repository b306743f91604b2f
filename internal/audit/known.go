package audit

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Known is what is known of the advisories, for package facts to count with.
func (a Advisories) Known() facts.Advisories { return a.facts() }

// Match returns the packages of documents that the advisories say something of; none
// without a database. The error is of the database.
func (a Advisories) Match(documents []release.Document, now time.Time) ([]ledger.Package, error) {
	return a.match(documents, now)
}
