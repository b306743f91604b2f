package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Record is what is used of an OSV record. Fields that it does not know are of no
// harm: some databases add their own.
type Record struct {
	ID        string     `json:"id"`
	Modified  Time       `json:"modified"`
	Published Time       `json:"published"`
	Withdrawn Time       `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Summary   string     `json:"summary"`
	Severity  []Score    `json:"severity"`
	Affected  []Affected `json:"affected"`
	Database  struct {
		// Severity is the word that GitHub gives beside, or instead of, a vector.
		Severity word `json:"severity"`
	} `json:"database_specific"`
}

// Affected is a package and which of its versions are affected.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"` // such as Go, or Debian:12
		Name      string `json:"name"`
	} `json:"package"`
	Severity []Score  `json:"severity"`
	Ranges   []Range  `json:"ranges"`
	Versions []string `json:"versions"`
}

// Range is a list of events on the line of all versions.
type Range struct {
	Type   string  `json:"type"` // SEMVER, ECOSYSTEM or GIT
	Events []Event `json:"events"`
}

// Event is one of the four; the others are empty.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

// Score is a severity in the notation that its type names: CVSS_V2, CVSS_V3 and
// CVSS_V4 have vectors.
type Score struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Time is a time that some databases do not have, write as the year 1, or write in
// a form of their own: all these are zero.
type Time struct{ time.Time }

// UnmarshalJSON never fails: a time that cannot be read must not lose an advisory.
func (t *Time) UnmarshalJSON(raw []byte) error {
	t.Time = time.Time{}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	if parsed, err := time.Parse(time.RFC3339, s); err == nil && parsed.Year() > 1 {
		t.Time = parsed.UTC()
	}
	return nil
}

// word is a string, or nothing when the database puts something else there.
type word string

func (w *word) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*w = word(s)
	}
	return nil
}

const (
	maxID   = 256
	maxName = 4096
)

// Parse reads one OSV record.
func Parse(raw []byte) (Record, error) {
	var record Record
	if err := json.Unmarshal(raw, &record); err != nil {
		return Record{}, fmt.Errorf("OSV record: %w", err)
	}
	if record.ID == "" {
		return Record{}, errors.New("OSV record: expected an id, found none")
	}
	if len(record.ID) > maxID {
		return Record{}, fmt.Errorf("OSV record: expected an id of at most %d bytes, found %d", maxID, len(record.ID))
	}
	for i, affected := range record.Affected {
		if len(affected.Package.Name) > maxName || len(affected.Package.Ecosystem) > maxName {
			return Record{}, fmt.Errorf("OSV record %s: affected[%d]: a name longer than %d bytes", record.ID, i, maxName)
		}
	}
	return record, nil
}

// Newest returns when the record last changed. The Go database does not say when
// it modified a record, but when it published or withdrew it.
func (r *Record) Newest() time.Time {
	newest := r.Modified.Time
	for _, t := range []time.Time{r.Published.Time, r.Withdrawn.Time} {
		if t.After(newest) {
			newest = t
		}
	}
	return newest
}

// IsWithdrawn reports whether the record no longer counts.
func (r *Record) IsWithdrawn() bool { return !r.Withdrawn.IsZero() }
