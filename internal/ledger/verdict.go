package ledger

import (
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Verdict is a verdict as it was reached.
type Verdict struct {
	release.Verdict
	// Number counts the verdicts on an image; 0 is the one at release.
	Number int
	// Counts is what was counted, as a JSON object of who judged.
	Counts string
	Wave   int64
}

// Judged is the verdict on a case.
type Judged struct {
	Case   *Case
	Now    release.Verdict
	Counts string
	// AtRelease is the verdict at release, where there was none that could tell.
	AtRelease       *release.Verdict
	AtReleaseCounts string
	// Statements are the VEX statements that hold for findings.
	Statements []Statement
}

// Statement is a VEX statement that holds for a finding of a package.
type Statement struct {
	// Package is the store's key, Finding what the finding is called by.
	Package int64
	Finding string

	Status        string
	Justification string
	Impact        string
	Action        string
	Author        string
	// Origin is the paper or the file that it is from, for people.
	Origin string
	// At is when it was known to be true. Zero when it does not say.
	At         time.Time
	Suppresses bool
}

// Same reports whether the verdict is the one from before: the same rules come to the
// same results over the same counts. What their messages say may differ by an age.
func (j *Judged) Same() bool {
	last := j.Case.Last
	return last != nil && last.Result == j.Now.Result && last.Policy == j.Now.Policy && last.Counts == j.Counts &&
		slices.EqualFunc(last.Reasons, j.Now.Reasons, func(a, b release.Reason) bool { return a.Rule == b.Rule && a.Result == b.Result })
}
