package workbench

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
)

// Tally reads what the worker of the bench has tallied.
type Tally struct{ ledger *store.Ledger }

// nothing is a queue for who only reads.
type nothing struct{}

func (nothing) Enqueue(context.Context, *sql.Tx, ...release.Task) error { return nil }

// Database is the URL of the database that [Bench.Services] uses.
func (b *Bench) Database() string { return "sqlite://" + filepath.Join(b.Dir, "tallyman.db") }

// Tally opens the database of the bench. It is closed with the bench.
func (b *Bench) Tally(ctx context.Context) (*Tally, error) {
	s, err := store.Open(ctx, b.Database(), store.Options{})
	if err != nil {
		return nil, err
	}
	b.onClose(s.Close)
	l, err := store.NewLedger(s, nothing{})
	if err != nil {
		return nil, err
	}
	return &Tally{ledger: l}, nil
}

// Counts are those of a verdict.
type Counts struct {
	Known                                                                      bool
	Critical, High, Medium, Low, None, Unscored, Suppressed, Packages, Unknown int
}

// Judged is a release as it was tallied.
type Judged struct {
	ledger.Case
	Now    Counts
	States map[release.PaperKind]release.State
}

// Version is the newest that names the image.
func (j *Judged) Version() string {
	if len(j.Versions) == 0 {
		return ""
	}
	return j.Versions[0]
}

// Releases returns the images that version tags name.
func (t *Tally) Releases(ctx context.Context) ([]Judged, error) {
	cases, err := t.ledger.AllCases(ctx)
	if err != nil {
		return nil, err
	}
	var all []Judged
	for _, c := range cases {
		j := Judged{Case: c, States: make(map[release.PaperKind]release.State)}
		if len(c.Versions) == 0 {
			continue
		}
		if c.Last != nil {
			if err := json.Unmarshal([]byte(c.Last.Counts), &j.Now); err != nil {
				return nil, err
			}
		}
		examination := release.Examination{Digest: c.Digest, Evidence: c.Evidence}
		for _, kind := range release.PaperKinds() {
			j.States[kind], _ = examination.State(kind)
		}
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b Judged) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), release.CompareVersions(a.Version(), b.Version()))
	})
	return all, nil
}

// Await polls until the releases are as wanted.
func (t *Tally) Await(ctx context.Context, patience time.Duration, wanted func([]Judged) bool) ([]Judged, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := t.Releases(ctx)
		if err == nil && wanted(all) {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return all, errors.Join(err, fmt.Errorf("not within %s", patience))
		case <-tick.C:
		}
	}
}

// WriteTally writes releases for people.
func WriteTally(out io.Writer, releases []Judged) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tVERSION\tSIGNATURE\tSBOM\tPROVENANCE\tPACKAGES\tFINDINGS\tAT RELEASE\tNOW\tWHY") //nolint:errcheck // Flush tells
	for i := range releases {
		j := &releases[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", j.Repository, j.Version(), j.States[release.PaperSignature], //nolint:errcheck // Flush tells
			j.States[release.PaperSBOM], j.States[release.PaperProvenance], j.Now.Packages, j.Now.findings(), result(j.AtRelease), result(j.Last), why(j.Last))
	}
	return w.Flush()
}

// Findings is how many count, whatever their severity.
func (c Counts) Findings() int {
	return c.Critical + c.High + c.Medium + c.Low + c.None + c.Unscored
}

func (c Counts) findings() string {
	if !c.Known {
		return "unknown"
	}
	var parts []string
	for _, level := range []struct {
		name string
		n    int
	}{{"critical", c.Critical}, {"high", c.High}, {"medium", c.Medium}, {"low", c.Low}, {"none", c.None}, {"unscored", c.Unscored}, {"suppressed", c.Suppressed}} {
		if level.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", level.n, level.name))
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

func result(v *ledger.Verdict) string {
	if v == nil {
		return "not judged"
	}
	return string(v.Result)
}

// why is the first reason for a verdict that is no pass.
func why(v *ledger.Verdict) string {
	if v == nil {
		return ""
	}
	for _, r := range v.Reasons {
		if r.Result != release.ResultPass {
			return r.Message
		}
	}
	return ""
}
