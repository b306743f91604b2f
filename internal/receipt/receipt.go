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
	"net/url"
	"reflect"
	"strings"
	"time"
)

// PredicateType is that of the attestation.
const PredicateType = "https://slsa.dev/verification_summary/v1"

// What verificationResult may be, and the one verifiedLevel of a receipt that passed.
const (
	// Passed says that the policy let the image out.
	Passed = "PASSED"
	// Failed says that it did not, or that this could not be told: SLSA knows no third,
	// and it does not pass.
	Failed = "FAILED"
	// Unevaluated is the one verifiedLevel of a receipt that passed: the gate looks at
	// vulnerabilities, not at how the image was built.
	Unevaluated = "SLSA_BUILD_LEVEL_UNEVALUATED"
)

// Receipt is the predicate.
type Receipt struct {
	Verifier     Verifier  `json:"verifier"`
	TimeVerified time.Time `json:"timeVerified"`
	// ResourceURI is the purl of the image, with its digest; see [Receipt.Of].
	ResourceURI string     `json:"resourceUri"`
	Policy      Descriptor `json:"policy"`
	// Inputs are the documents that were counted from: SBOMs and statements.
	Inputs []Descriptor `json:"inputAttestations,omitempty"`
	// Result is PASSED or FAILED.
	Result      string   `json:"verificationResult"`
	Levels      []string `json:"verifiedLevels"`
	SLSAVersion string   `json:"slsaVersion,omitempty"`

	// Verdict says why; it tells what failed from what could not be told.
	Verdict *Verdict `json:"tallyman_verdict,omitempty"`
	// Counts is what was counted, nil when the summary does not say: those of others do
	// not, and nor does one of a gate that could not count.
	Counts *Counts `json:"tallyman_counts,omitempty"`
	// Raw is the same as if nobody had stated anything.
	Raw *Counts `json:"tallyman_counts_raw,omitempty"`
	// Advisories are the data that it was counted with, nil without any.
	Advisories *Advisories `json:"tallyman_advisories,omitempty"`
	// Tool is the program that decided.
	Tool *Descriptor `json:"tallyman_tool,omitempty"`
	// Waivers are those that the gate was given and that matter to the image.
	Waivers []Waiver `json:"tallyman_waivers,omitempty"`
	// Reachability says what was looked at for code that is never run, nil when nothing
	// was to be.
	Reachability *Reachability `json:"tallyman_reachability,omitempty"`
}

// Verifier is who decided, a URI, and the versions of what it is made of.
type Verifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Descriptor is in-toto's ResourceDescriptor
// (https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md).
type Descriptor struct {
	Name      string            `json:"name,omitempty"`
	URI       string            `json:"uri,omitempty"`
	Digest    map[string]string `json:"digest,omitempty"`
	MediaType string            `json:"mediaType,omitempty"`
}

// Verdict is what the policy answered.
type Verdict struct {
	// Result is pass, fail or unknown.
	Result  string   `json:"result"`
	Reasons []Reason `json:"reasons"`
}

// Reason is the answer of one rule.
type Reason struct {
	Rule    string `json:"rule"`
	Result  string `json:"result"`
	Message string `json:"message"`
}

// Waiver is a statement that somebody stands for, until it expires.
type Waiver struct {
	Vulnerability string `json:"vulnerability"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
	Reason        string `json:"reason,omitempty"`
	By            string `json:"by"`
	// Source is the file that it was read from.
	Source string `json:"source"`
	// Signed: the file had a signature by the key that the gate was given.
	Signed  bool      `json:"signed"`
	Expires time.Time `json:"expires"`
	Expired bool      `json:"expired"`
	// Findings are those that it suppressed, by id and purl.
	Findings []string `json:"findings"`
}

// Reachability is what was found out of vulnerable code that the image has and never
// runs.
type Reachability struct {
	// Tool is the command and its version.
	Tool string `json:"tool,omitempty"`
	// Database is the URL of the symbols of vulnerable code.
	Database string `json:"database,omitempty"`
	// Skipped is why nothing was found out. Empty when the rest is set.
	Skipped string `json:"skipped,omitempty"`
	// Unreachable are the findings that it suppressed, by id.
	Unreachable []string `json:"unreachable,omitempty"`
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
	// AsOf is when the data were last known to be complete: those of the oldest feed that
	// the packages need. Zero when there are none.
	AsOf time.Time `json:"asOf"`
	// Newest is when the newest record was changed.
	Newest time.Time `json:"newest,omitzero"`
	// AgeSeconds is how old they were when it was counted, and MaxAgeSeconds what the
	// policy allows.
	AgeSeconds    int64 `json:"ageSeconds"`
	MaxAgeSeconds int64 `json:"maxAgeSeconds,omitempty"`
	Records       int   `json:"records,omitempty"`
}

// Read reads a predicate of the type https://slsa.dev/verification_summary. A summary
// without counts is no error: they are nil.
func Read(predicate []byte) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(predicate, &r); err != nil {
		return Receipt{}, fmt.Errorf("verification summary: %w", err)
	}
	if r.Result != Passed && r.Result != Failed {
		return Receipt{}, fmt.Errorf("verification summary: expected verificationResult PASSED or FAILED, found %.40q", r.Result)
	}
	for _, c := range []*Counts{r.Counts, r.Raw} {
		if c != nil && min(c.Critical, c.High, c.Medium, c.Low, c.None, c.Unscored, c.Suppressed, c.Packages, c.Unknown) < 0 {
			return Receipt{}, errors.New("verification summary: expected counts of at least 0, found less")
		}
	}
	return r, nil
}

// ResourceURI is the purl of an image
// (https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md):
// repository is such as ghcr.io/o/r/web, digest is "sha256:<hex>", and tag may be empty.
func ResourceURI(repository, digest, tag string) string {
	name := strings.ToLower(repository[strings.LastIndexByte(repository, '/')+1:])
	uri := "pkg:oci/" + url.PathEscape(name) + "@" + strings.Replace(digest, ":", "%3A", 1) + "?repository_url=" + url.QueryEscape(repository)
	if tag != "" {
		uri += "&tag=" + url.QueryEscape(tag)
	}
	return uri
}

// Of reports whether the receipt is of the image that has the digest, as
// "sha256:<hex>".
func (r Receipt) Of(digest string) bool {
	uri, _, _ := strings.Cut(r.ResourceURI, "?")
	_, version, _ := strings.Cut(uri, "@")
	version, err := url.PathUnescape(version)
	return err == nil && digest != "" && version == digest
}

// SameDecision reports whether two receipts say the same of the same, whenever it was
// decided and with however old data.
func (r Receipt) SameDecision(other Receipt) bool {
	timeless := func(r Receipt) Receipt {
		r.TimeVerified = time.Time{}
		if r.Advisories != nil {
			r.Advisories = &Advisories{Digest: r.Advisories.Digest, MaxAgeSeconds: r.Advisories.MaxAgeSeconds}
		}
		if r.Verdict != nil {
			v := *r.Verdict
			v.Reasons = nil // some tell the age
			r.Verdict = &v
		}
		return r
	}
	return reflect.DeepEqual(timeless(r), timeless(other))
}
