package audit

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
)

// WriteTable writes images for people: for each the digest, a line for each piece of
// evidence, on the index and on each platform, and what the policy says.
func WriteTable(out io.Writer, images []Image, advisories Advisories) error {
	w := bufio.NewWriter(out)
	var judged time.Time
	for i := range images {
		image := &images[i]
		if i > 0 {
			fmt.Fprintln(w) //nolint:errcheck // Flush tells
		}
		writeEvidence(w, image)
		if image.NotJudged != "" {
			fmt.Fprintf(w, "verdict: not judged: %s\n", image.NotJudged) //nolint:errcheck // Flush tells
		}
		if image.Judgement != nil {
			judged = image.Judgement.Verdict.At
			writeJudgement(w, image.Judgement)
		}
	}
	if !judged.IsZero() {
		fmt.Fprintln(w, advisories.line(judged)) //nolint:errcheck // Flush tells
	}
	return w.Flush()
}

//nolint:errcheck // the buffered writer's Flush tells
func writeEvidence(w *bufio.Writer, image *Image) {
	e := &image.Examination
	if image.Tag != "" {
		fmt.Fprintf(w, "%s is %s\n", image.Reference, e.Digest)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s@%s\n", e.Repository, e.Digest)
	for _, piece := range e.Evidence {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", piece.On, piece.Kind, piece.State, printable(piece.Reason))
	}
	table.Flush()
}

//nolint:errcheck // the buffered writer's Flush tells
func writeJudgement(w *bufio.Writer, j *Judgement) {
	fmt.Fprintf(w, "verdict: %s by %s (%s)\n", j.Verdict.Result, j.Policy, shortDigest(j.Verdict.Policy))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range j.Verdict.Reasons {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", r.Result, r.Rule, printable(r.Message))
	}
	table.Flush()
	fmt.Fprintf(w, "findings: %s\n", countsText(j.Counts, j.Uncounted))
}

// line tells of the advisories, with their age.
func (a Advisories) line(now time.Time) string {
	if a.DB == nil {
		return "advisories: none: " + a.None
	}
	newest := "of unknown age"
	if at := a.DB.Newest(); !at.IsZero() {
		newest = "the newest of " + at.UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf("advisories: %d records, %s; imported %s ago, %s; %s", a.DB.Records(), newest,
		ago(now.Sub(a.DB.Built())), a.DB.Built().UTC().Format("2006-01-02 15:04 MST"), shortDigest(a.DB.Digest()))
}

// ago is a span of time as people say it.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return "less than an hour"
	case d < 2*day:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d days", int(d/day))
	}
}

// countsText is counts for people. What is not known is no number.
func countsText(c ledger.Counts, why string) string {
	if !c.Known {
		return "unknown: " + cmp.Or(printable(why), "nobody counted")
	}
	parts := []string{fmt.Sprintf("%d critical", c.Critical)}
	for _, level := range []struct {
		name string
		n    int
	}{{"high", c.High}, {"medium", c.Medium}, {"low", c.Low}, {"none", c.None}, {"unscored", c.Unscored}} {
		if level.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", level.n, level.name))
		}
	}
	text := fmt.Sprintf("%d: %s", c.Total(), strings.Join(parts, ", "))
	if c.Suppressed > 0 {
		text += fmt.Sprintf("; %d more suppressed by VEX", c.Suppressed)
	}
	text += fmt.Sprintf("; in %d packages", c.Packages)
	if c.Unknown > 0 {
		text += fmt.Sprintf(", of which %d could not be judged", c.Unknown)
	}
	return text
}

// shortDigest shows enough of a digest to tell it from others.
func shortDigest(digest string) string {
	const shown = len("sha256:") + 12
	return digest[:min(len(digest), shown)]
}

// printable keeps the words of others from commanding the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// sorted is a sorted copy without repetitions.
func sorted(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
