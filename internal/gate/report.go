package gate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Schema names the form of [WriteJSON].
const Schema = "tallyman.gate/v1"

// WriteTable writes decisions for people: result and counts of each image, every rule,
// and the findings with what is stated of them.
//
//nolint:errcheck // the buffered writer's Flush tells
func WriteTable(out io.Writer, decisions []*Decision) error {
	w := bufio.NewWriter(out)
	for i, d := range decisions {
		if i > 0 {
			fmt.Fprintln(w)
		}
		d.writeHead(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, reason := range d.Verdict.Reasons {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", reason.Result, reason.Rule, printable(reason.Message))
		}
		if len(d.Findings) > 0 {
			fmt.Fprintln(t, "  SEVERITY\tADVISORY\tPACKAGE\tFIXED IN\tSTATED")
		}
		for j := range d.Findings {
			f := &d.Findings[j]
			stated := "-"
			if f.VEX != nil {
				stated = f.VEX.String()
				if f.Suppressed {
					stated = "does not count: " + stated
				}
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", f.Severity.Level, f.ID, printable(f.PURL), printable(or(strings.Join(f.Fixed, ", "), "-")), printable(stated))
		}
		t.Flush()
		if r := d.Receipt.Reachability; r != nil && r.Skipped != "" {
			fmt.Fprintf(w, "  REACHABILITY WAS NOT LOOKED AT: %s\n", printable(r.Skipped))
		}
	}
	return w.Flush()
}

//nolint:errcheck // as above
func (d *Decision) writeHead(w io.Writer) {
	version := d.Image.Tag
	if version != "" {
		version = " " + version
	}
	result := d.Receipt.Result
	if d.Verdict.Result != release.ResultPass && d.Verdict.Result != release.ResultFail {
		result += ", as it could not be told"
	}
	fmt.Fprintf(w, "gate: %s@%s%s: %s\n", d.Image.Repository, d.Image.Digest.Short(), version, result)
	if d.Counts == nil {
		fmt.Fprintf(w, "  critical unknown: %s\n", printable(or(d.Uncounted, "nothing was counted")))
	} else {
		c, raw := d.Counts, d.Raw
		fmt.Fprintf(w, "  critical %d (before VEX %d), high %d (%d), medium %d (%d), low %d (%d), none %d (%d), unscored %d (%d); %d packages, %d unknown\n",
			c.Critical, raw.Critical, c.High, raw.High, c.Medium, raw.Medium, c.Low, raw.Low, c.None, raw.None, c.Unscored, raw.Unscored,
			c.Packages, c.Unknown)
	}
	if a := d.Receipt.Advisories; a != nil {
		age := "of unknown age"
		if !a.AsOf.IsZero() {
			age = (time.Duration(a.AgeSeconds) * time.Second).String() + " old"
		}
		fmt.Fprintf(w, "  advisories %s, %d records, %s\n", release.Digest(a.Digest).Short(), a.Records, age)
	}
}

type reportJSON struct {
	Schema string         `json:"schema"`
	Result release.Result `json:"result"`
	Images []imageJSON    `json:"images"`
}

type imageJSON struct {
	Repository string          `json:"repository"`
	Version    string          `json:"version,omitempty"`
	Digest     release.Digest  `json:"digest"`
	Uncounted  string          `json:"uncounted,omitempty"`
	Receipt    receipt.Receipt `json:"receipt"`
	Findings   []findingJSON   `json:"findings"`
}

type findingJSON struct {
	ID         string   `json:"id"`
	IDs        []string `json:"ids"`
	Aliases    []string `json:"aliases,omitempty"`
	Severity   string   `json:"severity"`
	PURL       string   `json:"purl"`
	Fixed      []string `json:"fixed,omitempty"`
	Summary    string   `json:"summary,omitempty"`
	Why        string   `json:"why"`
	Suppressed bool     `json:"suppressed"`
	Stated     string   `json:"stated,omitempty"`
}

// WriteJSON writes decisions for machines, in the form that [Schema] names.
func WriteJSON(w io.Writer, decisions []*Decision) error {
	out := reportJSON{Schema: Schema, Result: Outcome(decisions), Images: make([]imageJSON, 0, len(decisions))}
	for _, d := range decisions {
		image := imageJSON{
			Repository: d.Image.Repository, Version: d.Image.Tag, Digest: d.Image.Digest, Uncounted: d.Uncounted, Receipt: d.Receipt,
			Findings: make([]findingJSON, 0, len(d.Findings)),
		}
		for i := range d.Findings {
			f := &d.Findings[i]
			one := findingJSON{
				ID: f.ID, IDs: f.IDs, Aliases: f.Aliases, Severity: f.Severity.Level.String(), PURL: f.PURL, Fixed: f.Fixed, Summary: f.Summary, Why: f.Why,
				Suppressed: f.Suppressed,
			}
			if f.VEX != nil {
				one.Stated = f.VEX.String()
			}
			image.Findings = append(image.Findings, one)
		}
		out.Images = append(out.Images, image)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

// printable keeps what foreign documents say from reaching the terminal as commands.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
