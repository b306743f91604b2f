package vex

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// OpenVEX has no field for the end of a statement, nor for who stands for it. Both stand
// in status_notes, as `expires: 2027-01-31; by: Jane Doe`.
var (
	noteExpires = regexp.MustCompile(`(?i)(?:^|[;\n])\s*expires:\s*([^;\n]*)`)
	noteBy      = regexp.MustCompile(`(?i)(?:^|[;\n])\s*by:\s*([^;\n]*)`)
)

// Expired reports whether the statement holds no more.
func (s *Statement) Expired(at time.Time) bool { return !s.Expires.IsZero() && at.After(s.Expires) }

// SuppressesAt reports whether a finding that the statement is about does not count at a
// time.
func (s *Statement) SuppressesAt(at time.Time) bool { return s.Suppresses() && !s.Expired(at) }

// Ended says when the statement expired, for people. Empty when it did not, by the time
// that [Set.Apply] was asked for.
func (s *Statement) Ended() string {
	if !s.Over {
		return ""
	}
	return "waiver expired on " + DayOf(s.Expires)
}

// By is who stands for the statement: whom the notes name, or else the author.
func (s *Statement) By() string {
	if match := noteBy.FindStringSubmatch(s.Notes); match != nil && strings.TrimSpace(match[1]) != "" {
		return strings.TrimSpace(match[1])
	}
	return s.Author
}

// lasts reports whether a statement holds longer than another.
func (s *Statement) lasts(other *Statement) bool {
	return !other.Expires.IsZero() && (s.Expires.IsZero() || s.Expires.After(other.Expires))
}

// endOf reads the end of a statement from its notes, zero when there is none.
func endOf(notes string) (time.Time, error) {
	match := noteExpires.FindStringSubmatch(notes)
	if match == nil {
		return time.Time{}, nil
	}
	return ParseExpiry(strings.TrimSpace(match[1]))
}

// ParseExpiry reads a day, which stands for its end in UTC, or a time.
func ParseExpiry(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, fmt.Errorf("expires: expected a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z; found %.40q", s)
	}
	return at, nil
}

// DayOf writes an end as [ParseExpiry] reads it, in UTC.
func DayOf(end time.Time) string {
	end = end.UTC()
	if end.Format(time.TimeOnly) == "23:59:59" {
		return end.Format(time.DateOnly)
	}
	return end.Format(time.RFC3339)
}
