// Package receipt is the form of a gate receipt: the SLSA verification summary
// (https://slsa.dev/spec/v1.0/verification_summary) that says by which policy an image was
// let out, and what was counted then. Whoever writes one and whoever reads one share it.
//
// What SLSA has no field for stands in extension fields, whose names begin with
// tallyman_, as SLSA asks of those who extend it.
package receipt

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Receipt is the predicate.
type Receipt struct {
	Verifier     Verifier   `json:"verifier"`
	TimeVerified time.Time  `json:"timeVerified"`
	ResourceURI  string     `json:"resourceUri"`
	Policy       Descriptor `json:"policy"`
	// Result is PASSED or FAILED.
	Result string   `json:"verificationResult"`
	Levels []string `json:"verifiedLevels"`
	// Counts is what was counted, nil when the summary does not say: those of others do
	// not.
	Counts *Counts `json:"tallyman_counts,omitempty"`
	// Advisories are the data that it was counted with.
	Advisories *Advisories `json:"tallyman_advisories,omitempty"`
}

// Verifier is who decided, a URI.
type Verifier struct {
	ID string `json:"id"`
}

// Descriptor is in-toto's ResourceDescriptor.
type Descriptor struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

// Counts are findings by severity. What VEX suppresses is counted in Suppressed alone.
type Counts struct {
	Critical   int `json:"critical"`
	High       int `json:"high"`
	Medium     int `json:"medium"`
	Low        int `json:"low"`
	None       int `json:"none"`
	Unscored   int `json:"unscored"`
	Suppressed int `json:"suppressed"`
	// Packages counts those of the SBOMs, and Unknown those of which the advisories could
	// not be told.
	Packages int `json:"packages"`
	Unknown  int `json:"unknown"`
}

// Advisories identifies advisory data.
type Advisories struct {
	// Digest is that of the database, as "sha256:<hex>".
	Digest string `json:"digest"`
	// AsOf is when the data were last known to be complete.
	AsOf time.Time `json:"asOf"`
}

// Read reads a predicate of the type https://slsa.dev/verification_summary. A summary
// without counts is no error: they are nil.
func Read(predicate []byte) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(predicate, &r); err != nil {
		return Receipt{}, fmt.Errorf("verification summary: %w", err)
	}
	if r.Result != "PASSED" && r.Result != "FAILED" {
		return Receipt{}, fmt.Errorf("verification summary: expected verificationResult PASSED or FAILED, found %.40q", r.Result)
	}
	if c := r.Counts; c != nil && min(c.Critical, c.High, c.Medium, c.Low, c.None, c.Unscored, c.Suppressed, c.Packages, c.Unknown) < 0 {
		return Receipt{}, errors.New("verification summary: expected counts of at least 0, found less")
	}
	return r, nil
}
