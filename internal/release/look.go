package release

import "time"

// Outcome says whether a look found out all that it set out to.
type Outcome string

const (
	// OutcomeComplete means that the repository was read to its end.
	OutcomeComplete Outcome = "complete"
	// OutcomeUnknown means that it was not; Cause and Reason say why. What an
	// earlier look found still stands, with its age.
	OutcomeUnknown Outcome = "unknown"
)

// Cause is the class of a failure to look, for people to act on and for
// machines to count. The zero value is no failure, or one of none of the classes.
type Cause string

const (
	// CauseUnauthorized: the registry asks for credentials, or for better ones.
	CauseUnauthorized Cause = "unauthorized"
	// CauseNotFound: the registry has no such repository, tag or digest.
	CauseNotFound Cause = "not found"
	// CauseThrottled: the registry asks to come back later.
	CauseThrottled Cause = "throttled"
	// CauseUnavailable: the registry cannot be reached, or is failing.
	CauseUnavailable Cause = "unavailable"
	// CauseInvalid: the registry answered with something that is not what was
	// asked for, such as content of another digest.
	CauseInvalid Cause = "invalid answer"
	// CauseNotAllowed: going on would have led to a host that is not configured, or
	// to a private address of one that is not named.
	CauseNotAllowed Cause = "not allowed"
)

// Look is one visit to a repository.
type Look struct {
	Repository string
	At         time.Time
	Outcome    Outcome
	Cause      Cause
	// Reason is one sentence for people. Empty for a complete look.
	Reason string
}

// Sighting is what a look saw of a repository.
type Sighting struct {
	// Images are those that were not known before.
	Images []Image
	// Tags maps the name of each tag that was resolved to its digest. Every
	// digest belongs to an image that is in Images or was known before.
	Tags map[string]Digest
}

// Component is a repository as the overview shows it.
type Component struct {
	Repository string
	// Watched is false once the repository is no longer configured; what was
	// found stays, and ages.
	Watched bool
	// LookEvery is how often it is looked at while it is watched.
	LookEvery time.Duration
	// LastLook is the latest look, nil before the first.
	LastLook *Look
	// LastComplete is when a look last read the repository to its end. Zero means
	// never, and then Releases and Latest are what was found in part.
	LastComplete time.Time
	// Releases counts the version tags that stand.
	Releases int
	// Latest is nil when no release is known.
	Latest *Release
}

// graceLooks is how many looks in a row may be missed before what is known is
// called stale: one may fall to a restart, one to a slow registry.
const graceLooks = 3

// Unknown returns why the state of the component is not known at the given
// time, or "" when it is.
func (c Component) Unknown(now time.Time) string {
	switch {
	case !c.Watched:
		return "no longer watched"
	case c.LastLook == nil:
		return "not looked at yet"
	case c.LastLook.Outcome != OutcomeComplete:
		return c.LastLook.Reason
	case c.LookEvery > 0 && now.Sub(c.LastLook.At) > graceLooks*c.LookEvery:
		return "not looked at since; the worker may be down"
	default:
		return ""
	}
}
