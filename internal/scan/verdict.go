package scan

import (
	"fmt"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Outcome is what a scan means for whoever asked.
type Outcome int

const (
	// Pass: nothing that counts at or above the threshold, and nothing unknown.
	Pass Outcome = iota
	// Fail: a finding that counts at or above the threshold.
	Fail
	// CouldNotTell: a document could not be read, or nothing fails but a package
	// could not be judged.
	CouldNotTell
)

// Threshold is the least severity that fails a scan.
type Threshold struct {
	never bool
	level advisory.Level
}

// ParseThreshold reads a level from low to critical, any for every finding, scored
// or not, or never.
func ParseThreshold(s string) (Threshold, error) {
	switch s = strings.ToLower(s); s {
	case "never":
		return Threshold{never: true}, nil
	case "any", "unscored":
		return Threshold{level: advisory.Unscored}, nil
	case "low", "medium", "high", "critical":
		level, err := advisory.ParseLevel(s)
		return Threshold{level: level}, err
	default:
		return Threshold{}, fmt.Errorf("severity %q: expected any, low, medium, high, critical or never", s)
	}
}

// Judge says what the documents mean by a threshold. What VEX suppresses does not
// count.
func (t Threshold) Judge(documents []Document) Outcome {
	outcome := Pass
	for i := range documents {
		d := &documents[i]
		if d.Err != nil {
			return CouldNotTell
		}
		for _, f := range d.Findings {
			if !t.never && !f.Suppressed && f.Severity.Level >= t.level {
				outcome = Fail
			}
		}
	}
	if outcome == Fail {
		return Fail
	}
	for i := range documents {
		if len(documents[i].Unknown) > 0 {
			return CouldNotTell
		}
	}
	return Pass
}
