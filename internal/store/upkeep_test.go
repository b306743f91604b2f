package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func readSBOM(_ context.Context, content []byte) *release.SBOM {
	document, packages, err := sbom.ReadAll(bytes.NewReader(content))
	if err != nil {
		return &release.SBOM{Failure: err.Error()}
	}
	return &release.SBOM{Format: string(document.Format), Version: document.Version, Packages: packages, Unidentified: document.Unidentified}
}

// settle takes the tasks out of a queue as if they had been done.
func settle(tb testing.TB, l *Ledger, q *tasks) {
	tb.Helper()
	for _, task := range q.all {
		if task.Step == release.StepJudge {
			if _, err := l.CloseWave(tb.Context(), task.Wave, nil); err != nil {
				tb.Fatal(err)
			}
		}
		if task.Step == release.StepNotify {
			if err := l.RecordAttempt(tb.Context(), ledger.Attempt{ID: task.Delivery, Delivered: true}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	q.all = nil
}

// tally fills a ledger with a small fleet: releases, packages, advisories that came,
// changed, were withdrawn and are gone, moved tags, a verdict and messages.
func tally(tb testing.TB, s *Store, l *Ledger, q *tasks) {
	tb.Helper()
	const releases = 6
	f := storetest.NewFleet(3, 60, 30)
	see(tb, s, f, 0, releases, day)
	for n := range releases {
		image, _ := f.Image(benchRepository, n, day)
		packages := f.Packages(40 * n)
		packages = append(packages,
			release.Package{PURL: "pkg:generic/thing@1", Name: "thing", Version: "1"},
			release.Package{PURL: "pkg:golang/" + f.Modules[1], Name: f.Modules[1]})
		ingest(tb, l, image, storetest.SPDX(fmt.Sprint("release ", n), packages), day)
	}
	alias := func(raw []byte) []byte { return append([]byte(`{"aliases":["CVE-1"],`), raw[1:]...) }
	record := func(id string, module int, fixed, score string) []byte {
		return storetest.Advisory(id, f.Modules[module], fixed, day, score)
	}
	publish(tb, l, day, alias(record("GO-1", 0, "1.30.0", "")), alias(record("GHSA-1", 0, "1.30.0", critical)), record("GO-2", 1, "1.20.0", critical),
		record("GO-3", 2, "1.20.0", ""), record("GO-4", 3, "1.20.0", critical), record("GO-5", 4, "1.10.0", critical))
	publish(tb, l, day, record("GO-2", 1, "1.30.0", critical), withdraw(record("GO-3", 2, "1.20.0", "")))
	if _, err := l.DropAdvisories(tb.Context(), "Go", []string{"GO-4"}); err != nil {
		tb.Fatal(err)
	}
	if err := l.FinishSync(tb.Context(), ledger.Feed{Ecosystem: "Go", State: `{"ETag":"x"}`, TriedAt: day, SyncedAt: day}); err != nil {
		tb.Fatal(err)
	}
	// A version tag moves; another goes.
	first, version := f.Image(benchRepository, 0, day)
	other, _ := f.Image(benchRepository, 1, day)
	later := day.Add(time.Hour)
	if _, err := s.RecordLook(tb.Context(), release.Look{Repository: benchRepository, At: later, Outcome: release.OutcomeComplete},
		release.Sighting{Tags: map[string]release.Digest{version: other.Digest, "latest": first.Digest}}); err != nil {
		tb.Fatal(err)
	}
	wave := q.all[len(q.all)-1].Wave
	for _, c := range cases(tb, l, wave) {
		verdict := release.Verdict{At: later, Result: release.ResultFail, Policy: "p", Reasons: []release.Reason{{Rule: "r", Result: release.ResultFail, Message: "1 critical — bad"}}}
		if err := l.RecordVerdicts(tb.Context(), wave, []ledger.Judged{{Case: &c, Now: verdict, Counts: "{}", AtRelease: &verdict, AtReleaseCounts: "{}", Statements: statementsOf(&c, later)}}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.HandIn(tb.Context(), account.Upload{Repository: benchRepository, Digest: first.Digest, Subject: first.Digest, Content: []byte("{}"), By: "somebody"}); err != nil {
		tb.Fatal(err)
	}
	if _, err := l.CloseWave(tb.Context(), wave, []ledger.Message{{ID: "m1", Notice: "n", Target: "hook", Body: []byte("{}\x00\xff")}}); err != nil {
		tb.Fatal(err)
	}
	token := grant.Token{ID: "t1", Hash: []byte{0, 0xff}, Role: grant.Viewer, Scopes: []grant.Scope{grant.Read}, Made: day, Expires: later}
	if err := s.MakeToken(tb.Context(), token, grant.Entry{At: day, Action: grant.ActionTokenMake, Subject: token.ID}); err != nil {
		tb.Fatal(err)
	}
	settle(tb, l, q)
}

// statementsOf has one for each finding of a case.
func statementsOf(c *ledger.Case, at time.Time) []ledger.Statement {
	var all []ledger.Statement
	for i := range c.Packages {
		for _, f := range c.Packages[i].Findings {
			all = append(all, ledger.Statement{Package: c.Packages[i].Key, Finding: f.ID, Status: "affected", Author: "somebody", At: at})
		}
	}
	return all
}

func upkeep(tb testing.TB, l *Ledger) *Upkeep {
	tb.Helper()
	return NewUpkeep(l, UpkeepConfig{ReadSBOM: readSBOM})
}

func check(tb testing.TB, u *Upkeep) []Problem {
	tb.Helper()
	var all []Problem
	if err := u.Check(tb.Context(), func(p Problem) { all = append(all, p) }); err != nil {
		tb.Fatal(err)
	}
	return all
}

func shownProblems(all []Problem) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func rebuild(tb testing.TB, u *Upkeep) (healed, left []Problem) {
	tb.Helper()
	if err := u.Rebuild(tb.Context(), func(p Problem, done bool) {
		if done {
			healed = append(healed, p)
		} else {
			left = append(left, p)
		}
	}); err != nil {
		tb.Fatal(err)
	}
	return healed, left
}

func TestCheckFindsNothingWrongWithWhatTheLedgerWrites(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		if got := check(t, upkeep(t, l)); len(got) > 0 {
			t.Errorf("of an empty database:\n%s", shownProblems(got))
		}
		tally(t, s, l, q)
		if got := check(t, upkeep(t, l)); len(got) > 0 {
			t.Errorf("got problems:\n%s", shownProblems(got))
		}
		findings, exposures := tallied(t, s)
		if len(findings) < 10 || len(exposures) < 10 {
			t.Errorf("the test is about too little: %d findings, %d exposures", len(findings), len(exposures))
		}
	})
}

func TestCheckGoesOnAfterWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		for _, statement := range []string{`UPDATE advisory SET severity = 'awful' WHERE name = 'GO-2'`, `DELETE FROM exposure`} {
			if err := s.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		got := shownProblems(check(t, upkeep(t, l)))
		for _, want := range []string{"table findings: expected what can be read to its end, found ", "severity GO-2: ", "exposure registry.example/"} {
			if !strings.Contains(got, want) {
				t.Errorf("want %q in\n%s", want, got)
			}
		}
	})
}

func TestCheckFindsRowsThatNameNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		off, on := `PRAGMA foreign_keys = 0`, `PRAGMA foreign_keys = 1`
		if _, ok := s.Postgres(); ok {
			off, on = `SET session_replication_role = replica`, `SET session_replication_role = origin`
		}
		conn, err := s.write.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{off, `UPDATE tag SET digest = 'sha256:gone' WHERE name = 'latest'`, on} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if got := shownProblems(check(t, upkeep(t, l))); !strings.Contains(got, "reference tag") {
			t.Errorf("want a problem with a reference of tag in\n%s", got)
		}
	})
}

func TestAttachRefusesAnotherSchema(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		attach := func() error {
			s, err := Attach(t.Context(), url, Options{Queue: jobschema.River{}})
			if err == nil {
				err = s.Close()
			}
			return err
		}
		if err := attach(); err == nil || !strings.Contains(err.Error(), ErrNotThere.Error()) {
			t.Errorf("of an empty database: got error %v, want one that no tally is kept there", err)
		}
		s, err := Open(t.Context(), url, Options{Queue: jobschema.River{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := attach(); err != nil {
			t.Errorf("of this program's schema: %v", err)
		}
		for statement, want := range map[string]string{
			`UPDATE tallyman_migration SET version = 99 WHERE version = (SELECT max(version) FROM tallyman_migration)`: "schema version 99, expected version ",
			`DELETE FROM tallyman_migration WHERE version > 1`:                                                         "schema version 1, expected version ",
		} {
			if err := s.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			if err := attach(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("after %s: got error %v, want one with %q", statement, err, want)
			}
		}
	})
}
