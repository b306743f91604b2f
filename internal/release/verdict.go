package release

import "time"

// Result is an answer to whether a release may be used. The zero value is no
// result; it counts as unknown.
type Result string

const (
	// ResultPass: everything that was asked for is known, and holds.
	ResultPass Result = "pass"
	// ResultFail: something that was asked for is known not to hold.
	ResultFail Result = "fail"
	// ResultUnknown: nothing is known not to hold, and not everything is known.
	ResultUnknown Result = "unknown"
)

// Worst combines results: a fail is a fail whatever else is unknown, and what is
// unknown never passes. Nothing asked is nothing known: without results it
// returns unknown.
func Worst(results ...Result) Result {
	if len(results) == 0 {
		return ResultUnknown
	}
	worst := ResultPass
	for _, r := range results {
		if r.badness() > worst.badness() {
			worst = r
		}
	}
	if worst.badness() == ResultUnknown.badness() {
		return ResultUnknown
	}
	return worst
}

// badness orders results. What is no result is as little known as unknown.
func (r Result) badness() int {
	switch r {
	case ResultPass:
		return 0
	case ResultFail:
		return 2
	default:
		return 1
	}
}

// CompareResults orders results for people: negative if a is worse than b, so
// that what fails comes first and what passes last.
func CompareResults(a, b Result) int { return b.badness() - a.badness() }

// Reason is the answer of one rule.
type Reason struct {
	// Rule is the rule's name.
	Rule   string
	Result Result
	// Message is one sentence for people, never empty.
	Message string
}

// Verdict is what a policy says of a release.
type Verdict struct {
	// Result is the worst of the reasons.
	Result Result
	// Reasons has one for every rule: those that fail, then those that are unknown,
	// then those that pass, each in the order of the policy.
	Reasons []Reason
	// Policy is the digest of the policy that was applied, as "sha256:<hex>". Equal
	// digests judge equal facts equally.
	Policy string
	At     time.Time
}
