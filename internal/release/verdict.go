package release

import "time"

// Result is what judging comes to.
type Result string

// The results.
const (
	ResultPass    Result = "pass"
	ResultFail    Result = "fail"
	ResultUnknown Result = "unknown"
)

// Reason is what one rule says.
type Reason struct {
	Rule    string `json:"rule"`
	Result  Result `json:"result"`
	Message string `json:"message"`
}

// Verdict is what a policy says of a release.
type Verdict struct {
	Result  Result
	Reasons []Reason
	// Policy is the digest of the policy.
	Policy string
	At     time.Time
}
