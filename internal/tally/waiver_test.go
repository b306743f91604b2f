package tally_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// TestAWaiverExpiresByItself lets time pass, and nothing else: no paper and no advisory
// changes.
func TestAWaiverExpiresByItself(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const purl = "pkg:golang/example.com/a@v1.5.0"
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		ends := b.Now().Add(40 * time.Minute)
		statement := []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Acme","timestamp":"2026-05-01T00:00:00Z","version":1,
			"statements":[{"vulnerability":{"name":"GO-1"},"products":[{"@id":"` + purl + `"}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path",
			"status_notes":"expires: ` + ends.Format(time.RFC3339) + `; by: Jane Doe"}]}`)
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, index, platforms, purl)
		b.Key.Attest(t, b.Repository, index, evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: statement})
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/a", "2.0.0", b.Now(), criticalVector))
		b.Look(t)
		again(t, b)
		if c := one(t, b); c.Last.Result != release.ResultPass || !strings.Contains(c.Last.Counts, `"suppressed":1`) {
			t.Fatalf("before the waiver ends: got %s, counts %s, want pass with the finding suppressed", c.Last.Result, c.Last.Counts)
		}
		b.Inbox.Take()

		b.Advance(41 * time.Minute)
		again(t, b)
		c := one(t, b)
		if got, want := failing(c.Last), []string{"fail no-critical"}; !slices.Equal(got, want) {
			t.Fatalf("after it ended: got %v, want %v", got, want)
		}
		ended := "waiver expired on " + ends.Format(time.RFC3339)
		if !slices.ContainsFunc(c.Last.Reasons, func(r release.Reason) bool { return strings.HasSuffix(r.Message, "; "+ended+" for GO-1") }) {
			t.Errorf("reasons: got %+v, want one that ends in %q", c.Last.Reasons, ended)
		}
		if c.AtRelease.Result != release.ResultPass {
			t.Errorf("verdict at release: got %s, want pass: the waiver held then", c.AtRelease.Result)
		}
		if told := b.Inbox.Take(); len(told) != 1 || len(told[0].Releases) != 1 || told[0].Releases[0].Before != "pass" || told[0].Releases[0].After != "fail" {
			t.Errorf("told: got %+v, want that the verdict is fail now", told)
		}
		r, err := b.Store.Release(t.Context(), account.Ref{Repository: b.Repository, Name: "v1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		findings, err := b.Store.Findings(t.Context(), r.Key, account.FindingQuery{}, account.Page{})
		if err != nil || len(findings.Items) != 1 {
			t.Fatalf("got findings %+v, %v, want that of the waiver", findings.Items, err)
		}
		for _, f := range findings.Items {
			if f.Suppressed() || f.Statement == nil || f.Statement.Action != ended {
				t.Errorf("finding: got statement %+v, want one that is not suppressed and says %q", f.Statement, ended)
			}
		}
	})
}
