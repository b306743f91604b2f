package scan

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// WriteTable writes the documents for people.
func WriteTable(out io.Writer, data Data, documents []Document) error {
	w := bufio.NewWriter(out)
	for i := range documents {
		writeDocument(w, &documents[i])
	}
	fmt.Fprintf(w, "Advisories: %d records, %s; imported %s.\n", data.DB.Records(), Age(data.DB.Newest(), data.Now), //nolint:errcheck // Flush tells
		data.DB.Built().Format("2006-01-02 15:04 MST"))
	if !data.AsOf.IsZero() {
		fmt.Fprintf(w, "As known at %s: advisories published by then count, also where they were withdrawn since.\n"+ //nolint:errcheck // Flush tells
			"What each of them says is its state in this database, not that of the day.\n", data.AsOf.UTC().Format("2006-01-02 15:04 MST"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// Age says how old data are whose newest record changed then.
func Age(newest, now time.Time) string {
	if newest.IsZero() {
		return "of unknown age"
	}
	const day = 24 * time.Hour
	age := "less than a day"
	if days := int(now.Sub(newest) / day); days == 1 {
		age = "1 day"
	} else if days > 1 {
		age = fmt.Sprintf("%d days", days)
	}
	return fmt.Sprintf("the newest of %s (%s old)", newest.Format("2006-01-02"), age)
}

//nolint:errcheck // the buffered writer's Flush tells
func writeDocument(w *bufio.Writer, d *Document) {
	if trouble := trouble(d); trouble != "" {
		fmt.Fprintf(w, "%s: %s\n\n", printable(d.Source), printable(trouble))
		return
	}
	fmt.Fprintf(w, "%s: %s %s, %d packages\n", printable(d.Source), d.SBOM.Format, d.SBOM.Version, d.SBOM.Packages)
	if d.Paper != nil && !d.Paper.Verified {
		fmt.Fprintf(w, "  not verified: %s\n", printable(d.Paper.Reason))
	}
	if len(d.Findings) > d.repeated() {
		column := lastColumn(d)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  SEVERITY\tPACKAGE\tVERSION\tADVISORY\tALIASES\tFIXED IN"+column("VEX"))
		for i := range d.Findings {
			f := &d.Findings[i]
			if f.Repeated {
				continue
			}
			doubt := ""
			if f.Subject.Doubt != "" {
				doubt = " (doubtful)"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s%s\t%s\t%s\t%s%s\n", f.Severity.Level, printable(f.Subject.Name), printable(f.Subject.Version), doubt,
				strings.Join(f.IDs, " "), strings.Join(f.Aliases, " "), orDash(strings.Join(f.Fixed, ", ")), column(f.marked()))
		}
		t.Flush()
	}
	for i := range d.Findings {
		if f := &d.Findings[i]; f.VEX != nil && !f.Repeated {
			fmt.Fprintf(w, "  %s of %s: %s\n", f.ID, printable(f.Subject.Name), printable(f.VEX.String()))
		}
	}
	for _, u := range d.Unknown {
		if u.Repeated {
			continue
		}
		name := u.PURL
		if name == "" {
			name = u.Name
		}
		fmt.Fprintf(w, "  unknown: %s: %s\n", printable(name), printable(u.Reason))
	}
	fmt.Fprintf(w, "  %s\n\n", summary(d))
}

// lastColumn returns how to write the last column, which is there when there are
// statements.
func lastColumn(d *Document) func(text string) string {
	if slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.VEX != nil }) {
		return func(text string) string { return "\t" + text }
	}
	return func(string) string { return "" }
}

// marked is what VEX says of a finding, in a word or two.
func (f *Finding) marked() string {
	switch {
	case f.VEX == nil:
		return "-"
	case f.Suppressed:
		return "suppressed: " + string(f.VEX.Status)
	case f.VEX.Over:
		return f.VEX.Ended()
	default:
		return string(f.VEX.Status)
	}
}

func summary(d *Document) string {
	counts := make(map[advisory.Level]int)
	suppressed := 0
	for i := range d.Findings {
		if d.Findings[i].Repeated {
			continue
		}
		if d.Findings[i].Suppressed {
			suppressed++
			continue
		}
		counts[d.Findings[i].Severity.Level]++
	}
	parts := make([]string, 0, 8)
	for level := advisory.Critical; ; level-- {
		if n := counts[level]; n > 0 || level == advisory.Critical {
			parts = append(parts, fmt.Sprintf("%d %s", n, level))
		}
		if level == advisory.Unscored {
			break
		}
	}
	repeated := d.repeated()
	text := fmt.Sprintf("%d findings: %s", len(d.Findings)-suppressed-repeated, strings.Join(parts, ", "))
	if suppressed > 0 {
		text += fmt.Sprintf("; %d more suppressed by VEX", suppressed)
	}
	if repeated > 0 {
		text += fmt.Sprintf("; %d more that another SBOM of the manifest has too", repeated)
	}
	if n := d.unknown(); n > 0 {
		text += fmt.Sprintf("; %d packages could not be judged", n)
	}
	if n := d.SBOM.Unidentified; n > 0 {
		text += fmt.Sprintf("; %d entries without a purl were not looked up", n)
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable keeps a document's words from commanding the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
