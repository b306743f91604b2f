package tally_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

const criticalVector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

// one returns the only case: what is known of the only release.
func one(t *testing.T, b *tallytest.Bench) ledger.Case {
	t.Helper()
	all, err := b.Ledger.AllCases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("got %d images, want 1", len(all))
	}
	return all[0]
}

func state(c ledger.Case, kind release.PaperKind) release.State {
	s, _ := release.Examination{Digest: c.Digest, Evidence: c.Evidence}.State(kind)
	return s
}

func failing(v *ledger.Verdict) []string {
	var rules []string
	for _, r := range v.Reasons {
		if r.Result != release.ResultPass {
			rules = append(rules, string(r.Result)+" "+r.Rule)
		}
	}
	return rules
}

// again has everything that is due done.
func again(t *testing.T, b *tallytest.Bench) []error {
	t.Helper()
	if err := b.Tally.Duty(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.Settle(t)
}

func TestAReleaseIsVerifiedMatchedJudgedAndTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.5.0", "pkg:golang/stdlib@1.26.1")
		b.Look(t)
		c := one(t, b)
		if got := state(c, release.PaperSignature); got != release.StateVerified {
			t.Errorf("signature: got %s, want verified", got)
		}
		if c.Last == nil || c.Last.Result != release.ResultUnknown {
			t.Fatalf("verdict without advisories: got %+v, want unknown", c.Last)
		}

		// The feed that the packages need is fetched without being asked for.
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), criticalVector))
		for _, err := range again(t, b) {
			t.Error(err)
		}
		if c = one(t, b); c.Last.Result != release.ResultPass {
			t.Errorf("verdict with nothing found: got %s %v, want pass", c.Last.Result, c.Last.Reasons)
		}
		if c.AtRelease == nil || c.AtRelease.Result != release.ResultPass {
			t.Errorf("verdict at release: got %+v, want pass", c.AtRelease)
		}

		progress, err := b.Store.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for _, p := range progress {
			if got[string(p.Step)+" "+p.Subject] = p.Note; !p.Ended || p.Failure != "" {
				t.Errorf("progress: got %+v, want it ended well", p)
			}
		}
		notes := map[string]string{
			"sync Go": "1 of 1 advisories changed", "discover " + b.Repository: "tags: 1, new images: 1", "ingest " + b.Repository + "@" + string(index): "documents: 2",
		}
		if diff := cmp.Diff(notes, got); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}

		b.Inbox.Take()
		b.Advance(2 * time.Hour)
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), criticalVector),
			storetest.Advisory("GO-2", "example.com/a", "1.6.0", b.Now(), criticalVector))
		for _, err := range again(t, b) {
			t.Error(err)
		}
		c = one(t, b)
		if got, want := failing(c.Last), []string{"fail no-critical"}; !slices.Equal(got, want) {
			t.Errorf("verdict with a critical finding: got %v, want %v", got, want)
		}
		places, err := b.Ledger.Places(t.Context(), &c, c.Packages[0].PURL)
		if err != nil || len(places) != 2 || places[0].Position != 0 {
			t.Fatalf("places of the package: got %+v, %v, want the first entry of each platform's SBOM", places, err)
		}
		content, err := b.Ledger.DocumentContent(t.Context(), places[0].Document)
		if err != nil {
			t.Fatal(err)
		}
		if entry, err := sbom.Entry(bytes.NewReader(content), places[0].Position); err != nil || entry.PURL != c.Packages[0].PURL || entry.Entry == "" {
			t.Errorf("entry of the SBOM: got %+v, %v, want that of %s", entry, err, c.Packages[0].PURL)
		}
		if c.AtRelease.Result != release.ResultPass {
			t.Errorf("verdict at release after a later advisory: got %s, want pass as before", c.AtRelease.Result)
		}
		notices := b.Inbox.Take()
		if len(notices) != 1 || len(notices[0].Findings) != 1 || len(notices[0].Releases) != 1 {
			t.Fatalf("notices: got %+v, want one with a finding and a verdict", notices)
		}
		want := release.FindingChange{
			ID: "GO-2", Aliases: []string{}, Severity: "critical", PURLs: []string{"pkg:golang/example.com/a@v1.5.0"},
			Change: release.ChangeNew, Fixed: []string{"1.6.0"}, Releases: 1,
		}
		if diff := cmp.Diff(want, notices[0].Findings[0]); diff != "" {
			t.Errorf("finding of the notice (-want +got):\n%s", diff)
		}
		if r := notices[0].Releases[0]; r.Version != "v1.0.0" || r.Before != "pass" || r.After != "fail" {
			t.Errorf("verdict of the notice: got %+v, want pass to fail", r)
		}

		// A withdrawal takes it back.
		b.Advance(2 * time.Hour)
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), criticalVector),
			slices.Concat([]byte(`{"withdrawn":"2026-05-01T16:00:00Z",`), storetest.Advisory("GO-2", "example.com/a", "1.6.0", b.Now(), criticalVector)[1:]))
		again(t, b)
		if c = one(t, b); c.Last.Result != release.ResultPass {
			t.Errorf("verdict after the withdrawal: got %s, want pass", c.Last.Result)
		}
	})
}

func TestPapersThatChangeChangeTheVerdictAndBack(t *testing.T) {
	t.Parallel()
	const purl = "pkg:golang/example.com/a@v1.5.0"
	tests := map[string]struct {
		harm    func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest)
		kind    release.PaperKind
		want    release.State
		failing []string
	}{
		"tampering with a paper makes it invalid": {
			kind: release.PaperSBOM, want: release.StateInvalid, failing: []string{"fail sbom"},
			harm: func(t *testing.T, b *tallytest.Bench, _ release.Digest, platforms []release.Digest) {
				b.Key.Attest(t, b.Repository, platforms[0], evidencetest.Attestation{
					Type: evidencetest.SPDX, Predicate: storetest.SPDX("sbom", nil),
					Tamper: func(s []byte) []byte { return bytes.Replace(s, []byte("sbom"), []byte("mobs"), 1) },
				})
			},
		},
		"throttling the registry makes it unknown": {
			kind: release.PaperSignature, want: release.StateUnknown, failing: []string{"unknown signed", "unknown sbom", "unknown nothing-unknown"},
			harm: func(_ *testing.T, b *tallytest.Bench, _ release.Digest, _ []release.Digest) {
				b.Server.Fail(registrytest.Status(http.StatusTooManyRequests, "Retry-After", "1"))
			},
		},
		"removing a signature makes it absent": {
			kind: release.PaperSignature, want: release.StateAbsent, failing: []string{"fail signed"},
			harm: func(t *testing.T, b *tallytest.Bench, index release.Digest, _ []release.Digest) {
				b.Server.Delete(t, tallytest.Path, evidencetest.Tag(index, "sig"))
			},
		},
		"signing with another key makes it invalid": {
			kind: release.PaperSignature, want: release.StateInvalid, failing: []string{"fail signed"},
			harm: func(t *testing.T, b *tallytest.Bench, index release.Digest, _ []release.Digest) {
				evidencetest.NewKey(t).Sign(t, b.Repository, index)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
			index, platforms := b.Release(t, 1, "v1.0.0")
			b.Seal(t, index, platforms, purl)
			b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), ""))
			b.Look(t)
			again(t, b)
			if c := one(t, b); c.Last.Result != release.ResultPass {
				t.Fatalf("before: got %s %v, want pass", c.Last.Result, failing(c.Last))
			}
			b.Inbox.Take()

			tt.harm(t, b, index, platforms)
			b.Advance(90 * time.Minute)
			again(t, b)
			c := one(t, b)
			if got := state(c, tt.kind); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.kind, got, tt.want)
			}
			if diff := cmp.Diff(tt.failing, failing(c.Last)); diff != "" {
				t.Errorf("rules that do not pass (-want +got):\n%s", diff)
			}
			notices := b.Inbox.Take()
			if len(notices) != 1 || len(notices[0].Evidence) == 0 || notices[0].Evidence[0].After != tt.want || notices[0].Evidence[0].Reason == "" {
				t.Errorf("notices: got %+v, want one that says what became of the evidence, and why", notices)
			}

			b.Server.Fail(nil)
			b.Seal(t, index, platforms, purl)
			b.Advance(90 * time.Minute)
			again(t, b)
			if c := one(t, b); c.Last.Result != release.ResultPass || state(c, tt.kind) != release.StateVerified {
				t.Errorf("restored: got %s %v and %s, want pass and verified", c.Last.Result, failing(c.Last), state(c, tt.kind))
			}
		})
	}
}

func TestAVersionThatMovesIsAnAlarm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		first, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, first, platforms)
		b.Look(t)
		b.Inbox.Take()
		b.Advance(time.Hour)
		second, platforms := b.Release(t, 2, "v1.0.0")
		b.Seal(t, second, platforms)
		b.Look(t)
		var moves []release.Move
		for _, n := range b.Inbox.Take() {
			moves = append(moves, n.Moves...)
		}
		if len(moves) != 1 || moves[0].Tag != "v1.0.0" || moves[0].From != first || moves[0].To != second {
			t.Errorf("moves told: got %+v, want v1.0.0 from %s to %s, once", moves, first.Short(), second.Short())
		}
	})
}

func TestAnSBOMThatCannotBeReadLeavesEverythingUnknown(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"packages":[`, 1000) + strings.Repeat(`]}`, 1000)
	for name, predicate := range map[string]string{
		"not an SBOM":   `{"hello":"world"}`,
		"nested deeply": deep,
		"a lone number": `7`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
			index, platforms := b.Release(t, 1, "v1.0.0")
			b.Key.Sign(t, b.Repository, index)
			for _, p := range platforms {
				b.Key.Attest(t, b.Repository, p, evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: []byte(predicate)})
			}
			b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), ""))
			b.Look(t)
			again(t, b)
			if c := one(t, b); c.Last == nil || c.Last.Result == release.ResultPass {
				t.Errorf("got %+v, want a verdict that is no pass", c.Last)
			}
		})
	}
}

// PostgreSQL refuses text that is no UTF-8, and a zero byte in any.
func TestHostileTextInAnSBOMStopsNothing(t *testing.T) {
	t.Parallel()
	const component = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"NAME","version":"VERSION","purl":"pkg:golang/example.com/a@v1.5.0","licenses":[{"license":{"name":"NAME"}}]},
		{"type":"library","name":"NAME","purl":"pkg:golang/example.com/NAME@v1.0.0"}]}`
	for name, text := range map[string]string{
		"invalid UTF-8":    "a\xffb",
		"a zero byte":      `a\u0000b`,
		"a lone surrogate": `a\ud800b`,
		"markup":           `<script>alert(1)</script>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := tallytest.New(t, url, tallytest.Options{Connections: 4})
				index, platforms := b.Release(t, 1, "v1.0.0")
				b.Key.Sign(t, b.Repository, index)
				predicate := strings.NewReplacer("NAME", text, "VERSION", text).Replace(component)
				for _, p := range platforms {
					b.Key.Attest(t, b.Repository, p, evidencetest.Attestation{Type: evidencetest.CycloneDX, Predicate: []byte(predicate)})
				}
				b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/a", "2.0.0", b.Now(), criticalVector))
				b.Look(t)
				for _, err := range again(t, b) {
					t.Error(err)
				}
				if c := one(t, b); c.Last == nil || c.Last.Result == release.ResultPass {
					t.Errorf("got %+v, want a verdict that does not pass", c.Last)
				}
			})
		})
	}
}

func TestWhatIsNotConfiguredIsNotIngested(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	before := b.Server.Requests()
	err := b.Tally.Ingest(t.Context(), "evil.example/x", storetest.DigestOf("x"))
	if err == nil || !strings.Contains(err.Error(), tally.ErrNotConfigured.Error()) {
		t.Errorf("got error %v, want %v", err, tally.ErrNotConfigured)
	}
	if got := b.Server.Requests(); got != before {
		t.Errorf("requests: got %d, want none", got-before)
	}
}

func TestEverythingIsJudgedAgainWhenAdvisoriesGrowOld(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	index, platforms := b.Release(t, 1, "v1.0.0")
	b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.5.0")
	b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), ""))
	b.Look(t)
	again(t, b)
	b.RemoveFeeds(t)
	b.Advance(72 * time.Hour)
	failures := again(t, b)
	if len(failures) != 1 || !strings.Contains(fmt.Sprint(failures), "sync Go") {
		t.Errorf("failures: got %v, want that of the feed", failures)
	}
	c := one(t, b)
	if got, want := failing(c.Last), []string{"unknown advisory-data-fresh"}; !slices.Equal(got, want) {
		t.Errorf("rules that do not pass: got %v, want %v", got, want)
	}
}

func TestAVerifiedVEXStatementSuppressesAFinding(t *testing.T) {
	t.Parallel()
	const purl = "pkg:golang/example.com/a@v1.5.0"
	statement := []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Acme","timestamp":"2026-05-01T00:00:00Z","version":1,
		"statements":[{"vulnerability":{"name":"GO-1"},"products":[{"@id":"` + purl + `"}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"}]}`)
	tests := map[string]struct {
		signer func(t *testing.T, b *tallytest.Bench) evidencetest.Key
		want   []string
	}{
		"by somebody who is trusted": {
			signer: func(_ *testing.T, b *tallytest.Bench) evidencetest.Key { return b.Key },
		},
		"by somebody else": {
			signer: func(t *testing.T, _ *tallytest.Bench) evidencetest.Key { return evidencetest.NewKey(t) },
			want:   []string{"fail no-critical"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
			index, platforms := b.Release(t, 1, "v1.0.0")
			b.Seal(t, index, platforms, purl)
			tt.signer(t, b).Attest(t, b.Repository, index, evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: statement})
			b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/a", "2.0.0", b.Now(), criticalVector))
			b.Look(t)
			again(t, b)
			c := one(t, b)
			if got := failing(c.Last); !slices.Equal(got, tt.want) {
				t.Errorf("rules that do not pass: got %v, want %v", got, tt.want)
			}
			counts, err := ledger.ParseCounts(c.Last.Counts)
			if suppressed := counts.Suppressed == 1; err != nil || suppressed != (tt.want == nil) || suppressed == (counts.Critical == 1) {
				t.Errorf("counts: got %+v, %v, want the finding suppressed: %t", counts, err, tt.want == nil)
			}
			if raw, ok := counts.BeforeVEX(); !ok || raw != (ledger.Levels{Critical: 1}) {
				t.Errorf("before VEX: got %+v, %t, want the critical one in any case", raw, ok)
			}
			if len(c.Packages) != 1 || len(c.Packages[0].Findings) != 1 {
				t.Errorf("packages: got %+v, want the finding to stay visible", c.Packages)
			}
		})
	}
}

func TestFindingsAreNotCountedWhileAFeedIsMissing(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	index, platforms := b.Release(t, 1, "v1.0.0")
	b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.5.0", "pkg:npm/left-pad@1.0.0")
	b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), ""))
	b.Look(t)
	again(t, b)
	c := one(t, b)
	if !strings.Contains(c.Last.Counts, `"known":false`) || c.Last.Result != release.ResultUnknown {
		t.Errorf("without advisories of npm: got %s with counts %s, want unknown, and nothing counted", c.Last.Result, c.Last.Counts)
	}
	if !slices.Contains(failing(c.Last), "unknown no-critical") {
		t.Errorf("rules that do not pass: got %v, want no-critical among them, unknown", failing(c.Last))
	}
}
