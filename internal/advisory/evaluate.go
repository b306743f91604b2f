package advisory

import (
	"slices"
	"strings"
)

// eventKind is what happens at a version.
type eventKind byte

const (
	introduced eventKind = iota
	fixed
	lastAffected
	limit
)

func (k eventKind) String() string {
	return [...]string{"introduced", "fixed", "last_affected", "limit"}[k]
}

// event is an [Event] whose version can be compared. A nil at is the version 0 of
// introduced, which is before every version (OSV schema, "affected[].ranges[].events").
type event struct {
	kind eventKind
	at   *version
}

func (e event) version() string {
	if e.at == nil {
		return "0"
	}
	return e.at.text
}

// span is a range with its events in order.
type span struct {
	kind   string // SEMVER or ECOSYSTEM
	events []event
}

// String gives the range as people write it: "introduced 0, fixed 1.2.3".
func (s span) String() string {
	var b strings.Builder
	for i, e := range s.events {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.kind.String())
		b.WriteByte(' ')
		b.WriteString(e.version())
	}
	return b.String()
}

// sortEvents orders events by version. Of equal versions last_affected comes after
// introduced, so that a range of one version is one; else the record's order stays.
func sortEvents(events []event) error {
	var failure error
	slices.SortStableFunc(events, func(a, b event) int {
		switch {
		case a.at == nil && b.at == nil:
			return 0
		case a.at == nil:
			return -1
		case b.at == nil:
			return +1
		}
		c, err := a.at.compare(b.at)
		if err != nil {
			failure = err
		}
		if c == 0 && a.kind != b.kind {
			switch {
			case a.kind == lastAffected && b.kind == introduced:
				return +1
			case a.kind == introduced && b.kind == lastAffected:
				return -1
			}
		}
		return c
	})
	return failure
}

// hit says which events made a version affected.
type hit struct {
	from  event
	until *event // nil when nothing ends the range
}

// walk is the evaluation of the OSV schema over sorted events: introduced at or
// below the version switches on, fixed at or below or last_affected below switches
// off. A version at or above every limit is not in the range.
func walk(events []event, v *version) (hit, bool, error) {
	var on, limited, within bool
	var h hit
	for i := range events {
		e := &events[i]
		c := +1
		if e.at != nil {
			var err error
			if c, err = v.compare(e.at); err != nil {
				return hit{}, false, err
			}
		}
		switch e.kind {
		case introduced:
			if c >= 0 {
				on, h = true, hit{from: *e}
			}
		case fixed:
			if c >= 0 {
				on = false
			} else if on && h.until == nil {
				h.until = e
			}
		case lastAffected:
			if c > 0 {
				on = false
			} else if on && h.until == nil {
				h.until = e
			}
		case limit:
			limited = true
			within = within || c < 0
		}
	}
	return h, on && (!limited || within), nil
}
