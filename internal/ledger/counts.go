package ledger

import (
	"encoding/json"
	"fmt"
)

// Counts is what was counted for a verdict. The numbers of findings are no numbers
// unless Known.
type Counts struct {
	Known    bool `json:"known"`
	Critical int  `json:"critical"`
	High     int  `json:"high"`
	Medium   int  `json:"medium"`
	Low      int  `json:"low"`
	None     int  `json:"none"`
	Unscored int  `json:"unscored"`
	// Suppressed counts what VEX suppresses, which the others leave out, and Fixable
	// those of the others of which a fixed version is known.
	Suppressed int `json:"suppressed"`
	Fixable    int `json:"fixable"`
	// Packages counts the packages, and Unknown those of which the advisories could not
	// be told.
	Packages int `json:"packages"`
	Unknown  int `json:"unknown"`
	// Raw is what the numbers of findings would be if nothing were suppressed, where
	// something is; see [Counts.BeforeVEX].
	Raw Levels `json:"raw,omitzero"`
}

// Levels are findings by severity.
type Levels struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	None     int `json:"none"`
	Unscored int `json:"unscored"`
}

// BeforeVEX returns what would be counted if nothing were suppressed, and whether that
// is known: verdicts that were kept before it was counted have it only where nothing was
// suppressed.
func (c Counts) BeforeVEX() (Levels, bool) {
	switch {
	case !c.Known:
		return Levels{}, false
	case c.Suppressed == 0:
		return Levels{c.Critical, c.High, c.Medium, c.Low, c.None, c.Unscored}, true
	default:
		return c.Raw, c.Raw != Levels{}
	}
}

// Total counts the findings of all severities.
func (c Counts) Total() int {
	return c.Critical + c.High + c.Medium + c.Low + c.None + c.Unscored
}

// String is the form in which a verdict keeps them: a JSON object. Equal counts have
// equal forms.
func (c Counts) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("encode counts: %v", err)) // numbers can be encoded
	}
	return string(text)
}

// ParseCounts reads what [Counts.String] wrote.
func ParseCounts(text string) (Counts, error) {
	var c Counts
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return Counts{}, fmt.Errorf("counts of a verdict: %w", err)
	}
	return c, nil
}
