package advisory

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// Level is a severity as people rate it (CVSS v3.1 specification, 5, "Qualitative
// Severity Rating Scale"). Levels are in order; Unscored, which nobody rated, is
// the lowest and is not None.
type Level byte

const (
	// Unscored: neither the advisory nor an alias of it has a score.
	Unscored Level = iota
	// None is a score of 0.
	None
	// Low is a score from 0.1.
	Low
	// Medium is a score from 4.0.
	Medium
	// High is a score from 7.0.
	High
	// Critical is a score from 9.0.
	Critical
)

//nolint:gochecknoglobals // a constant table
var levelNames = [...]string{"unscored", "none", "low", "medium", "high", "critical"}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", byte(l))
}

// ParseLevel returns the level of a name, in any case; moderate and important are
// what some databases say for medium and high.
func ParseLevel(s string) (Level, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	switch s {
	case "moderate":
		return Medium, nil
	case "important":
		return High, nil
	}
	for i, name := range levelNames {
		if s == name {
			return Level(i), nil
		}
	}
	return Unscored, fmt.Errorf("severity %q: expected one of %s", s, strings.Join(levelNames[:], ", "))
}

// Severity is how bad an advisory is, and who says so.
type Severity struct {
	Level Level
	// Tenths is the CVSS base score times ten; 0 also when only a word was given.
	Tenths uint8
	// By is the notation, such as CVSS_V3, or [Rated].
	By string
	// Through is the id of the alias that has the score. Empty for its own.
	Through string
}

func (s Severity) String() string {
	if s.Level == Unscored {
		return s.Level.String()
	}
	text := s.Level.String()
	if s.By != "" && s.By != Rated {
		text += fmt.Sprintf(" %d.%d (%s)", s.Tenths/10, s.Tenths%10, s.By)
	}
	if s.Through != "" {
		text += " through " + s.Through
	}
	return text
}

// Encode writes the severity as text that [ParseSeverity] reads, such as
// "critical 98 CVSS_V3 GHSA-…"; it is shorter than JSON.
func (s Severity) Encode() string {
	text := fmt.Sprintf("%s %d", s.Level, s.Tenths)
	if s.By != "" {
		text += " " + s.By
		if s.Through != "" {
			text += " " + s.Through
		}
	}
	return text
}

// ParseSeverity reads what [Severity.Encode] wrote.
func ParseSeverity(text string) (Severity, error) {
	word, rest, _ := strings.Cut(text, " ")
	tenths, rest, _ := strings.Cut(rest, " ")
	level, err := ParseLevel(word)
	if err != nil {
		return Severity{}, err
	}
	n, err := strconv.ParseUint(tenths, 10, 8)
	if err != nil {
		return Severity{}, fmt.Errorf("severity %q: expected tenths from 0 to 100 after the level", shorten(text))
	}
	s := Severity{Level: level, Tenths: uint8(n)}
	s.By, s.Through, _ = strings.Cut(rest, " ")
	return s, nil
}

// Rated is what Severity.By says where a database gave a word and no vector.
const Rated = "rated"

// ScoreVector returns the base score of a CVSS v2, v3.0, v3.1 or v4.0 vector, from
// 0 to 10. Version 2 vectors have no prefix.
func ScoreVector(vector string) (float64, error) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return 0, fmt.Errorf("CVSS vector %q: %w", shorten(vector), err)
		}
		return v.Score(), nil
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return 0, fmt.Errorf("CVSS vector %q: %w", shorten(vector), err)
		}
		return v.BaseScore(), nil
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return 0, fmt.Errorf("CVSS vector %q: %w", shorten(vector), err)
		}
		return v.BaseScore(), nil
	case strings.HasPrefix(vector, "CVSS:"):
		return 0, fmt.Errorf("CVSS vector %q: expected version 2, 3.0, 3.1 or 4.0", shorten(vector))
	default:
		v, err := gocvss20.ParseVector(strings.Trim(vector, "()"))
		if err != nil {
			return 0, fmt.Errorf("CVSS vector %q: %w", shorten(vector), err)
		}
		return v.BaseScore(), nil
	}
}

// levelOf rates a base score. Version 2 has no critical (NVD, "Vulnerability
// Metrics").
func levelOf(tenths uint8, kind string) Level {
	switch {
	case tenths >= 90 && kind != "CVSS_V2":
		return Critical
	case tenths >= 70:
		return High
	case tenths >= 40:
		return Medium
	case tenths > 0:
		return Low
	default:
		return None
	}
}

// OwnSeverity is the severity that the record itself states: by its newest kind of
// vector, or else by the database's word.
func (r *Record) OwnSeverity() Severity {
	var best Severity
	consider := func(scores []Score) {
		for _, s := range scores {
			switch s.Type {
			case "CVSS_V2", "CVSS_V3", "CVSS_V4":
			default:
				continue
			}
			score, err := ScoreVector(s.Score)
			if err != nil {
				continue // unscored is what a vector that cannot be read leaves
			}
			tenths := uint8(math.Round(score * 10))
			if s.Type > best.By || s.Type == best.By && tenths > best.Tenths {
				best = Severity{Level: levelOf(tenths, s.Type), Tenths: tenths, By: s.Type}
			}
		}
	}
	consider(r.Severity)
	for i := range r.Affected {
		consider(r.Affected[i].Severity)
	}
	if best.By == "" && r.Database.Severity != "" {
		if level, err := ParseLevel(string(r.Database.Severity)); err == nil && level != Unscored {
			best = Severity{Level: level, By: Rated}
		}
	}
	return best
}

// Worse reports whether s is a worse severity than t.
func (s Severity) Worse(t Severity) bool {
	return s.Level > t.Level || s.Level == t.Level && s.Tenths > t.Tenths
}
