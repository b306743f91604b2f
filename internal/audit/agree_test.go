package audit_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

const (
	criticalVector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	vulnerable     = "pkg:golang/example.com/a@v1.5.0"
	harmless       = "pkg:golang/example.com/c@v1.0.0"
)

// everyFact is a policy with a rule for each fact that can be shown as text, so that two
// verdicts by it are equal only where all facts are.
func everyFact(t *testing.T) *policy.Policy {
	t.Helper()
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	rule := func(name, expression string) {
		fmt.Fprintf(&text, "  - name: %s\n    pass: 'false'\n    message: '%s'\n", name, expression)
	}
	for _, fact := range []string{
		"version", "digest", "repository", "signature.state", "signature.reason", "sbom.state", "sbom.reason", "provenance.state", "provenance.reason",
		"vex.state", "vex.reason", "summary.state", "summary.reason",
	} {
		rule(strings.ReplaceAll(fact, ".", "-"), fact)
	}
	for _, fact := range []string{
		"platforms", "signature.signers", "signature.identities", "sbom.signers", "provenance.signers", "vex.signers", "sbom.missing_on", "sbom.unknown_on",
		"packages.unknown_reasons", "licences", "advisories.missing", "counts.expired", "unknown",
	} {
		rule("list-"+strings.NewReplacer(".", "-", "_", "-").Replace(fact), fact+`.join("; ")+"."`)
	}
	for _, fact := range []string{
		"rebuilders", "packages.known", "packages.trusted", "packages.count", "packages.unknown", "counts.critical", "counts.high", "counts.unscored", "counts.total",
		"fixable.total", "counts.suppressed", "advisories.age_hours", "critical.age_hours", "tag_moved",
	} {
		rule("value-"+strings.NewReplacer(".", "-", "_", "-").Replace(fact), "string("+fact+")")
	}
	p, err := policy.Parse("every-fact", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// look has the command's way judge the release of a bench: with a database of the same
// feed, and no ledger.
func look(t *testing.T, b *tallytest.Bench, digest release.Digest, p *policy.Policy) *audit.Judgement {
	t.Helper()
	file := filepath.Join(t.TempDir(), "advisories.db")
	if _, err := advisory.Import(t.Context(), b.FeedDir, file, advisory.ImportOptions{Now: b.Now}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	examiner, err := evidence.New(registry.New(registry.Config{}), evidence.Config{
		Trust: evidence.Trust{Keys: []evidence.Key{{Name: "release.pub", PEM: b.Key.PEM(t)}}}, Now: b.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	examination, err := examiner.Examine(t.Context(), b.Repository, digest)
	if err != nil {
		t.Fatal(err)
	}
	judge := audit.Judge{Policy: p, Name: "test", Advisories: audit.Advisories{DB: db}, Now: b.Now()}
	got, err := judge.Judge(t.Context(), audit.Image{Examination: examination, Tag: "v1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestTheWorkerAndTheCommandAgree lets both judge the same release, by each fact.
func TestTheWorkerAndTheCommandAgree(t *testing.T) {
	t.Parallel()
	attest := func(b *tallytest.Bench, t *testing.T, subject release.Digest, all ...evidencetest.Attestation) {
		b.Key.Attest(t, b.Repository, subject, all...)
	}
	sbom := func(purls ...string) evidencetest.Attestation {
		packages := make([]release.Package, 0, len(purls))
		for _, purl := range purls {
			packages = append(packages, release.Package{PURL: purl, Name: purl})
		}
		return evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: storetest.SPDX("sbom", packages)}
	}
	built := evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: []byte(`{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}`)}
	statement := func(notes string) evidencetest.Attestation {
		return evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: fmt.Appendf(nil,
			`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex","author":"Me","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[
			{"vulnerability":{"name":"GO-1"},"products":[{"@id":%q}],"status":"not_affected","justification":"vulnerable_code_not_present","status_notes":%q}]}`,
			"pkg:golang/example.com/a", notes)}
	}
	type seal func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest)
	signed := func(purls ...string) seal {
		return func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, purls...)
		}
	}
	tests := map[string]seal{
		"nothing found":                             signed(harmless),
		"a critical finding":                        signed(harmless, vulnerable, "pkg:golang/stdlib@1.26.1"),
		"no paper at all":                           func(*testing.T, *tallytest.Bench, release.Digest, []release.Digest) {},
		"an ecosystem without advisories":           signed(harmless, "pkg:deb/debian/tzdata@2026a?distro=debian-12"),
		"a package that has no advisories anywhere": signed(harmless, "pkg:generic/thing@1"),
		"a version that is not given":               signed(harmless, "pkg:golang/example.com/a"),
		"an SBOM of one platform only": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Key.Sign(t, b.Repository, index)
			attest(b, t, platforms[0], sbom(vulnerable))
		},
		"an SBOM on the index and others on the platforms": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, harmless)
			attest(b, t, index, sbom(vulnerable))
		},
		"an SBOM that cannot be read": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, harmless)
			attest(b, t, platforms[1], evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: []byte(`{"spdxVersion":"SPDX-2.3","packages":{}}`)})
		},
		"an SBOM by somebody else": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, vulnerable)
			evidencetest.NewKey(t).Attest(t, b.Repository, platforms[0], sbom(harmless))
		},
		"a finding that VEX suppresses": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, vulnerable)
			attest(b, t, index, statement(""))
		},
		"a waiver that holds": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, vulnerable)
			attest(b, t, index, statement("expires: "+b.Now().Format(time.DateOnly)+"; by: Jane Doe"))
		},
		"a waiver that expired": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, vulnerable)
			attest(b, t, index, statement("expires: "+b.Now().AddDate(0, 0, -1).Format(time.DateOnly)+"; by: Jane Doe"))
		},
		"a waiver whose end cannot be read": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, vulnerable)
			attest(b, t, index, statement("expires: some day"))
		},
		"provenance about the index": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, harmless)
			attest(b, t, index, built)
		},
		"provenance about one platform": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Seal(t, index, platforms, harmless)
			attest(b, t, platforms[0], sbom(harmless), built)
		},
		"provenance about every platform": func(t *testing.T, b *tallytest.Bench, index release.Digest, platforms []release.Digest) {
			b.Key.Sign(t, b.Repository, index)
			for _, platform := range platforms {
				attest(b, t, platform, sbom(harmless), built)
			}
		},
	}
	for name, seal := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := everyFact(t)
			b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{Policy: p})
			// The worker asks for the feeds that packages need, the command has those of its file.
			b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/a", "1.6.0", b.Now().Add(-time.Hour), criticalVector))
			index, platforms := b.Release(t, 1, "v1.0.0")
			seal(t, b, index, platforms)
			b.Look(t)
			if err := b.Tally.Duty(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.Settle(t) // a feed that is not there is a failure
			worker := one(t, b)
			command := look(t, b, index, p)
			sort := func(reasons []release.Reason) []release.Reason {
				reasons = slices.DeleteFunc(slices.Clone(reasons), func(r release.Reason) bool { return r.Rule == "value-critical-age-hours" })
				slices.SortFunc(reasons, func(a, b release.Reason) int { return strings.Compare(a.Rule, b.Rule) })
				return reasons
			}
			if diff := cmp.Diff(sort(worker.Last.Reasons), sort(command.Verdict.Reasons)); diff != "" {
				t.Errorf("verdict (-worker +command):\n%s", diff)
			}
			if diff := cmp.Diff(worker.Last.Counts, command.Counts.String()); diff != "" {
				t.Errorf("counts (-worker +command):\n%s", diff)
			}
		})
	}
}

func one(t *testing.T, b *tallytest.Bench) ledger.Case {
	t.Helper()
	all, err := b.Ledger.AllCases(t.Context())
	if err != nil || len(all) != 1 || all[0].Last == nil {
		t.Fatalf("got %d images, %v, want 1 that was judged", len(all), err)
	}
	return all[0]
}
