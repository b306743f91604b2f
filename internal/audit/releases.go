package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// ReleasesSchema names the form of [WriteReleasesJSON].
const ReleasesSchema = "tallyman.releases/v1"

// CountedBy says where a count of critical findings is from.
type CountedBy string

const (
	// CountedAtGate: the verified gate receipt has it. It is that of the day.
	CountedAtGate CountedBy = "gate receipt"
	// CountedNow: the advisory database says it of the SBOM.
	CountedNow CountedBy = "SBOM, now"
	// CountedNowUnverified is the same of an SBOM that is not verified.
	CountedNowUnverified CountedBy = "unverified SBOM, now"
)

// Release is what the papers of a release tell.
type Release struct {
	Version string
	// Unknown is why nothing is known of it. Empty when the rest is set.
	Unknown string

	Digest    release.Digest
	Signature release.State
	// Critical counts the critical findings that VEX does not suppress, By whom.
	Critical Known[int]
	By       CountedBy
	// At is when it was counted.
	At       time.Time
	Duration Known[time.Duration]
	// Platforms have the sizes.
	Platforms Known[[]release.Platform]
}

// Size is that of the largest platform, in bytes, or why it is not known.
func (r *Release) Size() Known[int64] {
	standing := account.Standing{Release: release.Release{Image: release.Image{Platforms: r.Platforms.Value}}}
	return Known[int64]{Value: standing.Size(), Unknown: r.Platforms.Unknown}
}

// Teller tells of releases from their papers alone.
type Teller struct {
	// Advisories count what no receipt does; without a database that is unknown.
	Advisories Advisories
	VEX        []vex.Document
	// Nobody is trusted: papers were read and not verified.
	Nobody bool
	Now    time.Time
}

// Tell returns what the papers of an image tell of the release. The error is of the
// database or of ctx.
func (t *Teller) Tell(ctx context.Context, image Image, shape evidence.Shape, shapeUnknown string) (Release, error) {
	e := &image.Examination
	r := Release{Version: image.Tag, Digest: e.Digest, Platforms: Known[[]release.Platform]{Value: shape.Platforms, Unknown: shapeUnknown}}
	r.Signature, _ = e.State(release.PaperSignature)
	r.Duration = durationOf(facts.BuildOf(*e), buildUnknown(e, t.Nobody))
	if counted, ok := receiptOf(e); ok {
		r.Critical, r.By, r.At = Known[int]{Value: counted.Counts.Critical}, CountedAtGate, counted.TimeVerified
		return r, nil
	}
	state, reason := e.State(release.PaperSummary)
	noReceipt := fmt.Sprintf("gate receipt is %s: %s", state, reason)
	if state == release.StateVerified {
		noReceipt = "the verification summary has no counts"
	} else if t.Nobody && state != release.StateAbsent {
		noReceipt = "no key or identity was given to verify a gate receipt with"
	}
	s, err := newSight(ctx, image, t.Advisories, t.VEX, t.Now)
	if err != nil {
		return r, err
	}
	if !s.facts.Findings.Known {
		r.Critical.Unknown = noReceipt + "; " + s.facts.Findings.Reason
		return r, nil
	}
	r.Critical, r.By, r.At = Known[int]{Value: s.facts.Findings.Counts.Critical}, CountedNow, t.Now
	if !s.facts.Packages.Trusted {
		r.By = CountedNowUnverified
	}
	return r, nil
}

// receiptOf returns the latest gate receipt that is verified and has counts: of the image,
// not of a platform of it.
func receiptOf(e *release.Examination) (latest receipt.Receipt, found bool) {
	piece, _ := e.Of(release.PaperSummary, e.Digest)
	for i := range piece.Papers {
		p := &piece.Papers[i]
		if p.State != release.StateVerified {
			continue
		}
		r, err := receipt.Read(p.Document)
		if err == nil && r.Counts != nil && (!found || r.TimeVerified.After(latest.TimeVerified)) {
			latest, found = r, true
		}
	}
	return latest, found
}

// WriteReleasesTable writes releases for people, and below what is unknown and why.
//
//nolint:errcheck // the buffered writer's Flush tells
func WriteReleasesTable(out io.Writer, repository string, releases []Release, advisories Advisories, now time.Time) error {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, repository)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tDIGEST\tSIGNATURE\tCRITICAL\tCOUNTED BY\tBUILD\tSIZE\tPLATFORMS")
	for i := range releases {
		r := &releases[i]
		if r.Unknown != "" {
			fmt.Fprintf(t, "%s\tunknown\tunknown\tunknown\t-\tunknown\tunknown\tunknown\n", r.Version)
			continue
		}
		by := "-"
		if r.By != "" {
			by = string(r.By) + " " + r.At.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Version, r.Digest.Short(), r.Signature,
			orUnknown(r.Critical, strconv.Itoa), by, orUnknown(r.Duration, took), orUnknown(r.Size(), sizeText), orUnknown(r.Platforms, sizesText))
	}
	t.Flush()
	for i := range releases {
		for _, why := range releases[i].unknowns() {
			fmt.Fprintf(w, "%s: %s\n", releases[i].Version, printable(why))
		}
	}
	for i := range releases {
		if by := releases[i].By; by == CountedNow || by == CountedNowUnverified {
			fmt.Fprintln(w, advisories.line(now))
			break
		}
	}
	return w.Flush()
}

// unknowns says what is not known of a release, and why.
func (r *Release) unknowns() []string {
	if r.Unknown != "" {
		return []string{"unknown: " + r.Unknown}
	}
	var all []string
	for _, u := range []struct{ what, why string }{
		{"critical", r.Critical.Unknown}, {"build", r.Duration.Unknown}, {"size", r.Platforms.Unknown},
	} {
		if u.why != "" {
			all = append(all, u.what+" is unknown: "+u.why)
		}
	}
	return all
}

func orUnknown[T any](k Known[T], text func(T) string) string {
	if k.Unknown != "" {
		return "unknown"
	}
	return text(k.Value)
}

func sizesText(platforms []release.Platform) string {
	text := ""
	for i, p := range platforms {
		if i > 0 {
			text += ", "
		}
		text += p.String() + " " + sizeText(p.CompressedSize)
	}
	return text
}

type releasesJSON struct {
	Schema     string          `json:"schema"`
	Repository string          `json:"repository"`
	Releases   []releaseJSON   `json:"releases"`
	Advisories *advisoriesJSON `json:"advisories"`
}

type releaseJSON struct {
	Version   string        `json:"version"`
	Digest    string        `json:"digest,omitempty"`
	Signature release.State `json:"signature"`
	// Critical is null when nobody knows.
	Critical  *int       `json:"critical"`
	CountedBy CountedBy  `json:"countedBy,omitempty"`
	CountedAt *time.Time `json:"countedAt,omitempty"`
	// BuildSeconds is how long the build took, null when the provenance does not say.
	BuildSeconds *float64 `json:"buildSeconds"`
	// Sizes are what a pull transfers, in bytes by platform; null when not known.
	Sizes map[string]int64 `json:"sizes"`
	// Unknown says why something is null.
	Unknown []string `json:"unknown"`
}

// WriteReleasesJSON writes releases for machines, in the form that [ReleasesSchema] names.
func WriteReleasesJSON(w io.Writer, repository string, releases []Release, advisories Advisories) error {
	out := releasesJSON{Schema: ReleasesSchema, Repository: repository, Releases: make([]releaseJSON, 0, len(releases)), Advisories: describe(advisories)}
	for i := range releases {
		r := &releases[i]
		one := releaseJSON{Version: r.Version, Digest: string(r.Digest), Signature: r.Signature, CountedBy: r.By, Unknown: list(r.unknowns())}
		if r.Unknown != "" {
			one.Signature = release.StateUnknown
			out.Releases = append(out.Releases, one)
			continue
		}
		if r.Critical.Unknown == "" {
			at := r.At.UTC()
			one.Critical, one.CountedAt = &r.Critical.Value, &at
		}
		if r.Duration.Unknown == "" {
			seconds := r.Duration.Value.Seconds()
			one.BuildSeconds = &seconds
		}
		if r.Platforms.Unknown == "" {
			one.Sizes = make(map[string]int64)
			for _, p := range r.Platforms.Value {
				one.Sizes[p.String()] = p.CompressedSize
			}
		}
		out.Releases = append(out.Releases, one)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
