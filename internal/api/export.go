package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

const (
	csvType        = "text/csv"
	csvDescription = "UTF-8, CRLF, with a header. What is not known is empty, and unknown_because says why; where nothing is known there is one row that says only that. " +
		"A cell that a spreadsheet would run as a formula begins with an apostrophe."
)

// mostExported bounds an export, in items.
const mostExported = 100_000

// all reads a whole list, part by part. It reports whether there was more than is
// exported.
func all[T any](read func(account.Page) (account.List[T], error)) (items []T, cut bool, err error) {
	p := account.Page{Limit: account.MostItems}
	for {
		part, err := read(p)
		if err != nil {
			return nil, false, err
		}
		items = append(items, part.Items...)
		if part.Next == "" {
			return items, false, nil
		}
		if len(items) >= mostExported {
			return items, true, nil
		}
		p.After = part.Next
	}
}

const cutShort = "cut after 100000 items"

// exported are the findings of a release, and why they may not be all.
func (a *API) exported(ctx context.Context, in *findingsExport) ([]account.Finding, account.Release, string, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil || r.Key == 0 {
		return nil, r, notExamined, err
	}
	found, cut, err := all(func(p account.Page) (account.List[account.Finding], error) {
		return a.cfg.Store.Findings(ctx, r.Key, in.account(), p)
	})
	why := whyFindings(&r.Standing)
	if cut {
		why = cutShort
	}
	return found, r, why, err
}

type findingsExport struct {
	ofRelease
	findingFilter
}

func (a *API) findingsCSV(ctx context.Context, in *findingsExport) (*answer, error) {
	found, r, why, err := a.exported(ctx, in)
	if err != nil {
		return nil, err
	}
	asOf, err := a.asOf(ctx)
	if err != nil {
		return nil, err
	}
	t := newTable(
		"id", "aliases", "severity", "score", "package", "version", "purl", "ecosystem", "fixed", "occurrence", "published_at", "known_at", "gone_at",
		"suppressed", "vex_status", "vex_justification", "summary", "advisory_data_as_of", "unknown_because",
	)
	for i := range found {
		f := wire.FindingOf(&found[i])
		var status, justification string
		if f.Statement != nil {
			status, justification = f.Statement.Status, f.Statement.Justification
		}
		t.row(f.ID, strings.Join(f.Aliases, " "), f.Severity.Level, decimal(f.Severity.Score), f.Package, f.Version, f.PURL, f.Ecosystem,
			strings.Join(f.Fixed, " "), f.Occurrence, stamp(f.PublishedAt), stamp(f.KnownAt), stamp(f.GoneAt), truth(f.Suppressed), status, justification,
			f.Summary, asOf, why)
	}
	return t.answer(why, wire.ID(wire.RefOf(&r.Standing))+"-findings.csv"), nil
}

type packagesExport struct {
	ofRelease
	packageFilter
}

func (a *API) packagesCSV(ctx context.Context, in *packagesExport) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	var found []account.Package
	why := whyPackages(&r)
	if r.Key != 0 {
		var cut bool
		found, cut, err = all(func(p account.Page) (account.List[account.Package], error) {
			return a.cfg.Store.Packages(ctx, r.Key, in.account(), p)
		})
		if err != nil {
			return nil, err
		}
		if cut {
			why = cutShort
		}
	}
	asOf, err := a.asOf(ctx)
	if err != nil {
		return nil, err
	}
	t := newTable("name", "version", "purl", "licences", "findings", "worst", "advisory_data_as_of", "unknown_because")
	for i := range found {
		p := wire.PackageOf(&found[i])
		count, because := "", p.Gap
		if p.Findings != nil {
			count = itoa(*p.Findings)
		}
		if because == "" {
			because = why
		}
		t.row(p.Name, p.Version, p.PURL, strings.Join(p.Licences, "; "), count, p.Worst, asOf, because)
	}
	return t.answer(why, wire.ID(wire.RefOf(&r.Standing))+"-packages.csv"), nil
}

// table writes CSV as RFC 4180 has it.
type table struct {
	b       bytes.Buffer
	w       *csv.Writer
	columns int
	rows    int
}

func newTable(columns ...string) *table {
	t := &table{columns: len(columns)}
	t.w = csv.NewWriter(&t.b)
	t.w.UseCRLF = true
	t.write(columns)
	return t
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = harmless(cell)
	}
	t.rows++
	t.write(cells)
}

func (t *table) write(cells []string) {
	if err := t.w.Write(cells); err != nil {
		panic("api: write CSV into memory: " + err.Error())
	}
}

// answer ends the table. Without rows, when it is not known whether there are any, it has
// one that says so in the last column.
func (t *table) answer(why, name string) *answer {
	if t.rows == 0 && why != "" {
		cells := make([]string, t.columns)
		cells[t.columns-1] = why
		t.row(cells...)
	}
	t.w.Flush()
	return &answer{raw: t.b.Bytes(), media: csvType + "; charset=utf-8; header=present", filename: filename(name, &account.Document{})}
}

// harmless keeps a spreadsheet from running a cell as a formula: text that begins with
// one of the characters that start one gets an apostrophe before it (OWASP, "CSV
// Injection").
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
