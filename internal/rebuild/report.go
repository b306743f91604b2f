package rebuild

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Schema names the form of a report in JSON. Fields may be added to it, never taken
// away or given another meaning.
const Schema = "tallyman.reproduce/v1"

// Result is what came of a rebuild.
type Result string

const (
	// Identical: every digest is the published one.
	Identical Result = "identical"
	// Different: at least one is not.
	Different Result = "different"
)

// Report is what comparing a release with its rebuild found. There is no time in it:
// equal inputs give equal reports.
type Report struct {
	Schema string `json:"schema"`
	Result Result `json:"result"`
	Claim  Claim  `json:"claim"`
	// ClonedFrom is where the source was fetched from.
	ClonedFrom string `json:"cloned_from"`
	// Notes are what an auditor should know besides.
	Notes  []string `json:"notes"`
	Images []Image  `json:"images"`
	// Files are those of the release page; none when it was not given.
	Files       []File       `json:"files"`
	Differences []Difference `json:"differences"`
	Causes      []Cause      `json:"causes"`
}

// Image is one image, compared.
type Image struct {
	// Name is that in the release: web or worker.
	Name string `json:"name"`
	// Reference is repository@digest of what was published.
	Reference string `json:"reference"`
	Published string `json:"published"`
	Rebuilt   string `json:"rebuilt"`
	Identical bool   `json:"identical"`
	// Attested is who signed that it was rebuilt; empty when nobody did.
	Attested string `json:"attested,omitempty"`
}

// Finish makes result and causes of what was found.
func (r *Report) Finish() {
	r.Schema, r.Result = Schema, Identical
	for i := range r.Images {
		if !r.Images[i].Identical {
			r.Result = Different
		}
	}
	for i := range r.Files {
		if !r.Files[i].Identical {
			r.Result = Different
		}
	}
	slices.SortStableFunc(r.Images, func(a, b Image) int { return strings.Compare(a.Reference, b.Reference) })
	r.Differences = sorted(r.Differences)
	r.Causes = Causes(r.Differences)
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	out := *r
	// Lists are never null.
	out.Notes, out.Images, out.Files = list0(r.Notes), list0(r.Images), list0(r.Files)
	out.Differences, out.Causes = list0(r.Differences), list0(r.Causes)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(&out)
}

func list0[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// WriteTable writes the report for people.
//
//nolint:errcheck // the last write tells
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, commit %s\n", printable(r.Claim.Tag), r.Claim.Commit)
	fmt.Fprintf(w, "source %s, as %s says", printable(r.Claim.Source), printable(r.Claim.Signer))
	if r.ClonedFrom != "" && r.ClonedFrom != r.Claim.Source {
		fmt.Fprintf(w, "; cloned from %s", printable(r.ClonedFrom))
	}
	fmt.Fprint(w, "\n")
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprint(w, "\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tPUBLISHED\tREBUILT\tRESULT")
	for i := range r.Images {
		m := &r.Images[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(m.Name), shortened(m.Published), shortened(m.Rebuilt), outcome(m.Identical))
	}
	for i := range r.Files {
		f := &r.Files[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(f.Name), shortened(f.Published), shortened(f.Rebuilt), outcome(f.Identical))
	}
	t.Flush()
	for i := range r.Differences {
		fmt.Fprint(w, "\n")
		writeDifference(w, &r.Differences[i])
	}
	if len(r.Causes) > 0 {
		fmt.Fprint(w, "\nwhat usually causes this:\n")
	}
	for _, cause := range r.Causes {
		fmt.Fprintf(w, "  %s\n", cause.Says)
	}
	for i := range r.Images {
		if m := &r.Images[i]; m.Attested != "" {
			fmt.Fprintf(w, "\nattested %s by %s", m.Reference, printable(m.Attested))
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.Result)
	return err
}

//nolint:errcheck // the last write of the report tells
func writeDifference(w io.Writer, d *Difference) {
	fmt.Fprintf(w, "%s: %s\n", d.Where(), printable(d.Field))
	fmt.Fprintf(w, "  published  %s\n  rebuilt    %s\n", printable(d.Published), printable(d.Rebuilt))
	if b := d.Bytes; b != nil {
		at := fmt.Sprintf("  first difference at byte %d (0x%x)", b.Offset, b.Offset)
		if b.In != "" {
			at += ", in " + b.In
		}
		fmt.Fprintf(w, "%s\n    published  %-47s  |%s|\n    rebuilt    %-47s  |%s|\n", at, b.Published, readable(b.Published), b.Rebuilt, readable(b.Rebuilt))
	}
	if d.Shallow != "" {
		fmt.Fprintf(w, "  not looked into further: %s\n", printable(d.Shallow))
	}
}

func outcome(identical bool) string {
	if identical {
		return string(Identical)
	}
	return string(Different)
}

// shortened is a digest as people compare it by eye.
func shortened(digest string) string {
	const shown = len("sha256:") + 12
	if len(digest) > shown {
		return digest[:shown]
	}
	return digest
}

// Attested notes who signed that an image was rebuilt.
func (r *Report) Attested(repository string, digest release.Digest, signer string) {
	for i := range r.Images {
		if r.Images[i].Reference == repository+"@"+string(digest) {
			r.Images[i].Attested = signer
		}
	}
}
