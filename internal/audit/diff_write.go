package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
)

// DiffSchema names the form of [Comparison.WriteJSON].
const DiffSchema = "tallyman.diff/v1"

// WriteTable writes a comparison for people. Now is when it was made.
func (c *Comparison) WriteTable(out io.Writer, advisories Advisories, now time.Time) error {
	w := bufio.NewWriter(out)
	for _, side := range []struct {
		mark string
		told *Told
	}{{"A", &c.From}, {"B", &c.To}} {
		fmt.Fprintln(w, strings.TrimRight(side.mark+"  "+side.told.Name+"  "+string(side.told.Digest), " ")) //nolint:errcheck // Flush tells
		if side.told.Unverified {
			fmt.Fprintln(w, "   its SBOM is not verified") //nolint:errcheck // Flush tells
		}
	}
	fmt.Fprintln(w) //nolint:errcheck // Flush tells
	c.writeImages(w)
	c.writePackages(w)
	c.writeFindings(w)
	fmt.Fprintln(w, advisories.line(now)) //nolint:errcheck // Flush tells
	return w.Flush()
}

// writeImages writes what images tell beside their packages.
//
//nolint:errcheck // the buffered writer's Flush tells
func (c *Comparison) writeImages(w *bufio.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, from, to string) {
		if from == to {
			fmt.Fprintf(t, "%s\t%s\tthe same\n", name, printable(from))
			return
		}
		fmt.Fprintf(t, "%s\t%s\t->  %s\n", name, printable(from), printable(to))
	}
	row("signer", shown(c.From.Signers, listed), shown(c.To.Signers, listed))
	row("base", shown(c.From.Base, asIs), shown(c.To.Base, asIs))
	row("toolchain", shown(c.From.Tools, tools), shown(c.To.Tools, tools))
	row("build", shown(c.From.Duration, took), shown(c.To.Duration, took))
	if c.Sizes.Unknown != "" {
		fmt.Fprintf(t, "size\tunknown: %s\n", printable(c.Sizes.Unknown))
	}
	for _, s := range c.Sizes.Value {
		row("size of "+s.Platform, sizeText(s.From), sizeText(s.To))
	}
	t.Flush()
}

//nolint:errcheck // the buffered writer's Flush tells
func (c *Comparison) writePackages(w *bufio.Writer) {
	p := &c.Packages
	if p.Unknown != "" {
		fmt.Fprintf(w, "\npackages and licences: unknown: %s\n", printable(p.Unknown))
		return
	}
	fmt.Fprintf(w, "\npackages: %d added, %d removed, %d changed, %d the same\n", p.Added.Total, p.Removed.Total, p.Changed.Total, p.Same)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, group := range []struct {
		mark    string
		changes []account.PackageChange
	}{{"+", p.Added.Items}, {"-", p.Removed.Items}, {"~", p.Changed.Items}} {
		for _, change := range group.changes {
			versions := strings.Join(change.From, ", ")
			if change.To != nil {
				versions = strings.TrimPrefix(versions+" -> ", " -> ") + strings.Join(change.To, ", ")
			}
			fmt.Fprintf(t, "  %s %s\t%s\n", group.mark, printable(change.Package), printable(versions))
		}
	}
	t.Flush()
	fmt.Fprintf(w, "\nlicences: %d new, %d gone\n", len(c.LicencesNew), len(c.LicencesGone))
	for _, name := range c.LicencesNew {
		fmt.Fprintf(w, "  + %s\n", printable(name))
	}
	for _, name := range c.LicencesGone {
		fmt.Fprintf(w, "  - %s\n", printable(name))
	}
}

//nolint:errcheck // the buffered writer's Flush tells
func (c *Comparison) writeFindings(w *bufio.Writer) {
	if c.FindingsUnknown != "" {
		fmt.Fprintf(w, "\nfindings: unknown: %s\n", printable(c.FindingsUnknown))
		return
	}
	fmt.Fprintf(w, "\nfindings: %d fixed, %d introduced, %d in both\n", len(c.Fixed), len(c.Introduced), c.Common)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, group := range []struct {
		mark string
		all  []Changed
	}{{"+", c.Introduced}, {"-", c.Fixed}} {
		for i := range group.all {
			f := &group.all[i]
			note := ""
			if f.Suppressed {
				note = "\tsuppressed by VEX"
			}
			fmt.Fprintf(t, "  %s %s\t%s\t%s %s%s\n", group.mark, f.Severity.Level, f.ID, printable(f.Subject.Name), printable(f.Subject.Version), note)
		}
	}
	t.Flush()
}

// shown is a value as text, or that it is not known.
func shown[T any](k Known[T], text func(T) string) string {
	if k.Unknown != "" {
		return "unknown: " + k.Unknown
	}
	return text(k.Value)
}

func asIs(s string) string { return s }

func listed(names []string) string { return strings.Join(names, ", ") }

func took(d time.Duration) string { return d.Round(time.Second).String() }

func tools(versions map[string]string) string {
	parts := make([]string, 0, len(versions))
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		parts = append(parts, name+" "+versions[name])
	}
	return strings.Join(parts, ", ")
}

// sizeText is a size in bytes for people; -1 is none.
func sizeText(n int64) string {
	const kilo = 1000
	switch {
	case n < 0:
		return "not there"
	case n < kilo:
		return fmt.Sprintf("%d B", n)
	case n < kilo*kilo:
		return fmt.Sprintf("%.1f kB", float64(n)/kilo)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/kilo/kilo)
	}
}

type diffJSON struct {
	Schema     string          `json:"schema"`
	From       toldJSON        `json:"from"`
	To         toldJSON        `json:"to"`
	Packages   *packagesJSON   `json:"packages"`
	Licences   *licencesJSON   `json:"licences"`
	Sizes      []sizeJSON      `json:"sizes"`
	Findings   *findingsJSON   `json:"findings"`
	Advisories *advisoriesJSON `json:"advisories"`
	// Unknown says why something is null, by its name.
	Unknown map[string]string `json:"unknown"`
}

type toldJSON struct {
	Name   string `json:"name"`
	Digest string `json:"digest,omitempty"`
	// Verified: the SBOM that the packages are of is verified.
	Verified bool              `json:"verified"`
	Signers  []string          `json:"signers"`
	Base     *string           `json:"base"`
	Tools    map[string]string `json:"tools"`
	// BuildSeconds is how long the build took.
	BuildSeconds *float64          `json:"buildSeconds"`
	Unknown      map[string]string `json:"unknown"`
}

type packagesJSON struct {
	Added   []changeJSON `json:"added"`
	Removed []changeJSON `json:"removed"`
	Changed []changeJSON `json:"changed"`
	Same    int          `json:"same"`
}

type changeJSON struct {
	Package string   `json:"package"`
	From    []string `json:"from"`
	To      []string `json:"to"`
}

type licencesJSON struct {
	New  []string `json:"new"`
	Gone []string `json:"gone"`
}

// sizeJSON has sizes in bytes, null where the platform is not there.
type sizeJSON struct {
	Platform string `json:"platform"`
	From     *int64 `json:"from"`
	To       *int64 `json:"to"`
}

type findingsJSON struct {
	Introduced []findingJSON `json:"introduced"`
	Fixed      []findingJSON `json:"fixed"`
	Common     int           `json:"common"`
}

type findingJSON struct {
	ID         string   `json:"id"`
	Aliases    []string `json:"aliases"`
	Severity   string   `json:"severity"`
	PURL       string   `json:"purl"`
	Fixed      []string `json:"fixed"`
	Suppressed bool     `json:"suppressed"`
}

// WriteJSON writes a comparison for machines, in the form that [DiffSchema] names. What
// is not known is null, and unknown says why.
func (c *Comparison) WriteJSON(w io.Writer, advisories Advisories) error {
	out := diffJSON{Schema: DiffSchema, From: toldOf(&c.From), To: toldOf(&c.To), Advisories: describe(advisories), Unknown: make(map[string]string)}
	if c.Packages.Unknown != "" {
		out.Unknown["packages"], out.Unknown["licences"] = c.Packages.Unknown, c.Packages.Unknown
	} else {
		out.Packages = &packagesJSON{changesOf(c.Packages.Added.Items), changesOf(c.Packages.Removed.Items), changesOf(c.Packages.Changed.Items), c.Packages.Same}
		out.Licences = &licencesJSON{New: list(c.LicencesNew), Gone: list(c.LicencesGone)}
	}
	if c.Sizes.Unknown != "" {
		out.Unknown["sizes"] = c.Sizes.Unknown
	} else {
		out.Sizes = sizesOf(c.Sizes.Value)
	}
	if c.FindingsUnknown != "" {
		out.Unknown["findings"] = c.FindingsUnknown
	} else {
		out.Findings = &findingsJSON{changedOf(c.Introduced), changedOf(c.Fixed), c.Common}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

func toldOf(t *Told) toldJSON {
	out := toldJSON{Name: t.Name, Digest: string(t.Digest), Verified: t.Verified, Unknown: make(map[string]string)}
	for name, why := range map[string]string{
		"signers": t.Signers.Unknown, "base": t.Base.Unknown, "tools": t.Tools.Unknown, "buildSeconds": t.Duration.Unknown,
	} {
		if why != "" {
			out.Unknown[name] = why
		}
	}
	out.Signers, out.Tools = t.Signers.Value, t.Tools.Value
	if t.Base.Unknown == "" {
		out.Base = &t.Base.Value
	}
	if t.Duration.Unknown == "" {
		seconds := t.Duration.Value.Seconds()
		out.BuildSeconds = &seconds
	}
	return out
}

func changesOf(changes []account.PackageChange) []changeJSON {
	all := make([]changeJSON, 0, len(changes))
	for _, c := range changes {
		all = append(all, changeJSON{c.Package, list(c.From), list(c.To)})
	}
	return all
}

func sizesOf(changes []account.SizeChange) []sizeJSON {
	all := make([]sizeJSON, 0, len(changes))
	size := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	for _, c := range changes {
		all = append(all, sizeJSON{c.Platform, size(c.From), size(c.To)})
	}
	return all
}

func changedOf(findings []Changed) []findingJSON {
	all := make([]findingJSON, 0, len(findings))
	for i := range findings {
		f := &findings[i]
		all = append(all, findingJSON{
			ID: f.ID, Aliases: list(f.Aliases), Severity: f.Severity.Level.String(), PURL: f.PURL, Fixed: list(f.Fixed),
			Suppressed: f.Suppressed,
		})
	}
	return all
}

// list is a list that is there when it is empty.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
