package api_test

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

const repository = "ghcr.io/acme/web"

func noonOfTests() time.Time { return noon(10) }

func noon(day int) time.Time { return time.Date(2026, time.March, day, 12, 0, 0, 0, time.UTC) }

var (
	spdx    = []byte(`{"spdxVersion":"SPDX-2.3","name":"web","packages":[{"name":"a","versionInfo":"1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.com/a@v1.0.0"}]}]}` + "\n")
	cdx     = []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}`)
	vex     = []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`)
	receipt = []byte(`{"verifier":{"id":"https://github.com/tallyman-io/tallyman"},"verificationResult":"PASSED","tallyman_counts":{"critical":0}}`)
	amd64   = storetest.DigestOf("amd64")
	arm64   = storetest.DigestOf("arm64")
)

// memory is a small tally: three releases of one component. v1.0.0 passes, v1.1.0 fails
// since a wave of advisories, and the papers of v1.2.0 have not been looked at.
type memory struct {
	mu      sync.Mutex
	err     error // what every read fails with
	asked   []account.Request
	uploads []account.Upload
	told    []account.Announcement
	// lost: parts of dossiers behind the first cannot be read.
	lost bool
	// left: the repository is no longer watched.
	left bool
	// vexes: v1.1.0 has two VEX documents, and two receipts.
	vexes bool
}

var _ api.Store = (*memory)(nil)

func standing(number int) account.Standing {
	version := []string{"v1.0.0", "v1.1.0", "v1.2.0"}[number]
	s := account.Standing{
		Release: release.Release{
			Image: release.Image{
				Repository: repository, Digest: storetest.DigestOf(version), MediaType: "application/vnd.oci.image.index.v1+json",
				Revision: "0123456789abcdef0123456789abcdef01234567", Created: noon(1 + number),
				Platforms: []release.Platform{
					{OS: "linux", Architecture: "amd64", Digest: amd64, CompressedSize: 20_000_000},
					{OS: "linux", Architecture: "arm64", Variant: "v8", Digest: arm64, CompressedSize: 19_000_000},
				},
			},
			Version: version, FirstSeen: noon(1 + number).Add(time.Hour),
		},
		ReleasedAt: noon(1 + number),
	}
	if number == 2 {
		return s
	}
	s.Key, s.ExaminedAt = int64(1+number), noon(10)
	s.Build = &release.Build{
		Builder: "https://ci.example.com", Started: noon(1 + number).Add(-time.Hour), Finished: noon(1 + number).Add(-time.Hour + 95*time.Second),
		Source: "git+https://github.com/acme/web@refs/tags/" + version, Commit: s.Image.Revision, Tools: map[string]string{"go": "1.26.8", "buildx": "v0.38.2"},
		Signer: "key release.pub",
	}
	s.Evidence = map[release.PaperKind]release.State{release.PaperSignature: release.StateVerified, release.PaperSBOM: release.StateVerified, release.PaperVEX: release.StateAbsent}
	pass := account.Verdict{
		Verdict: release.Verdict{Result: release.ResultPass, Reasons: []release.Reason{{Rule: "critical", Result: release.ResultPass, Message: "No critical finding."}}, Policy: string(storetest.DigestOf("policy")), At: noon(1 + number)},
		Counts:  ledger.Counts{Known: true, Medium: 1, Fixable: 1, Packages: 2},
	}
	s.AtRelease, s.Now = &pass, &pass
	if number == 1 {
		fail := account.Verdict{
			Verdict: release.Verdict{Result: release.ResultFail, Reasons: []release.Reason{{Rule: "critical", Result: release.ResultFail, Message: "1 critical finding, expected 0."}}, Policy: pass.Policy, At: noon(9)},
			Number:  1, Counts: ledger.Counts{Known: true, Critical: 1, Medium: 1, Suppressed: 1, Fixable: 2, Packages: 2, Unknown: 1, Raw: ledger.Levels{Critical: 1, High: 1, Medium: 1}},
			Wave: 7, Cause: release.WaveAdvisories, Origin: "Go",
		}
		s.Now = &fail
	}
	return s
}

func documents(number int) []account.Document {
	if number == 2 {
		return nil
	}
	all := []account.Document{
		{Kind: release.PaperSBOM, Subject: amd64, On: "linux/amd64", Digest: storetest.DigestOf(string(spdx)), Verified: true, Signer: "key release.pub", Size: int64(len(spdx)), Format: "SPDX", Version: "2.3", Packages: 1},
		{Kind: release.PaperSBOM, Subject: arm64, On: "linux/arm64/v8", Digest: storetest.DigestOf(string(cdx)), Verified: true, Signer: "key release.pub", Size: int64(len(cdx)), Format: "CycloneDX", Version: "1.6"},
	}
	if number == 1 {
		all = append(all, account.Document{Kind: release.PaperVEX, Subject: storetest.DigestOf("v1.1.0"), On: "index", Digest: storetest.DigestOf(string(vex)), Verified: true, Size: int64(len(vex))},
			account.Document{Kind: release.PaperSummary, Subject: storetest.DigestOf("v1.1.0"), On: "index", Digest: storetest.DigestOf(string(receipt)), Verified: true, Size: int64(len(receipt))},
			// Nobody signed it: it is none of a gate.
			account.Document{Kind: release.PaperSummary, Subject: storetest.DigestOf("v1.1.0"), On: "index", Digest: storetest.DigestOf("forged")})
	}
	return all
}

func (m *memory) Components(context.Context) ([]account.Component, error) {
	latest := standing(2)
	return []account.Component{{
		Component: release.Component{
			Repository: repository, Watched: true, LookEvery: time.Hour, LastLook: &release.Look{Repository: repository, At: noon(10), Outcome: release.OutcomeComplete},
			LastComplete: noon(10), Releases: 3,
		},
		Latest: &latest, Trend: []account.Standing{standing(0), standing(1), standing(2)},
	}}, m.err
}

func (m *memory) Component(ctx context.Context, name string) (account.Component, error) {
	if name != repository && m.err == nil {
		return account.Component{}, account.ErrNotFound
	}
	all, err := m.Components(ctx)
	return all[0], err
}

// part cuts a list: the cursor is the number of the items before.
func part[T any](all []T, p account.Page, err error) (account.List[T], error) {
	if err != nil {
		return account.List[T]{}, err
	}
	from := 0
	if p.After != "" {
		from = len(p.After)
		if strings.Trim(p.After, "x") != "" || from > len(all) {
			return account.List[T]{}, account.ErrCursor
		}
	}
	l := account.List[T]{Items: all[from:min(len(all), from+p.Limit)], Total: len(all)}
	if from+p.Limit < len(all) {
		l.Next = strings.Repeat("x", from+p.Limit)
	}
	return l, nil
}

func (m *memory) Releases(_ context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error) {
	var all []account.Standing
	for i := range 3 {
		s := standing(2 - i)
		if (q.Repository == "" || q.Repository == repository) && (q.Result == "" || s.Now != nil && s.Now.Result == q.Result) {
			all = append(all, s)
		}
	}
	return part(all, p, m.err)
}

func (m *memory) Release(_ context.Context, ref account.Ref) (account.Release, error) {
	for i := range 3 {
		s := standing(i)
		if m.err != nil || ref.Repository != repository || ref.Name != s.Version && ref.Name != string(s.Image.Digest) {
			continue
		}
		r := account.Release{Standing: s, Versions: []string{s.Version}, Tags: []string{"latest"}, Documents: documents(i), Licences: []string{"MIT"}}
		if m.vexes && i == 1 {
			r.Documents = append(r.Documents, account.Document{Kind: release.PaperVEX, Subject: amd64, On: "linux/amd64", Digest: storetest.DigestOf("another")},
				account.Document{Kind: release.PaperSummary, Subject: amd64, On: "linux/amd64", Digest: storetest.DigestOf("another receipt"), Verified: true})
		}
		if i == 1 {
			r.Rebuilders = []string{"key auditor.pub"}
			r.Pieces = []account.Piece{{
				Kind: release.PaperSignature, Subject: s.Image.Digest, On: "index", State: release.StateVerified, Reason: "signed by key release.pub", Since: noon(2),
				Known: release.StateVerified, KnownAt: noon(10), Papers: []ledger.Paper{
					{State: release.StateVerified, Found: []release.Layout{release.LayoutSig}, Signer: "key release.pub", SignedAt: noon(2), LogIndex: 42},
					{State: release.StateInvalid, Reason: "nobody signed it", Unsigned: true, LogIndex: -1},
				},
			}}
			r.Changes, _ = part(evidenceChanges(), account.Page{Limit: 2}, nil)
			r.Layers = []account.Layers{{Platform: s.Image.Platforms[0], Layers: []release.Layer{{Digest: storetest.DigestOf("layer"), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: 20_000_000}}}}
		}
		return r, nil
	}
	if m.err != nil {
		return account.Release{}, m.err
	}
	return account.Release{}, account.ErrNotFound
}

func evidenceChanges() []account.EvidenceChange {
	c := account.EvidenceChange{At: noon(2), Kind: release.PaperSignature, Subject: storetest.DigestOf("v1.1.0"), After: release.StateVerified, Reason: "signed"}
	later, last := c, c
	later.At, later.Before, later.After, later.Reason = noon(4), release.StateVerified, release.StateUnknown, "throttled"
	last.At, last.Before = noon(5), release.StateUnknown
	return []account.EvidenceChange{last, later, c}
}

func (m *memory) Verdicts(_ context.Context, key int64, p account.Page) (account.List[account.Verdict], error) {
	s := standing(int(key) - 1)
	all := []account.Verdict{*s.Now, *s.AtRelease}
	if s.Now.Number == 0 {
		all = all[:1]
	}
	return part(all, p, m.err)
}

func (m *memory) EvidenceChanges(_ context.Context, key int64, _ account.ChangeQuery, p account.Page) (account.List[account.EvidenceChange], error) {
	if key != 2 {
		return part([]account.EvidenceChange(nil), p, m.err)
	}
	return part(evidenceChanges(), p, m.err)
}

func findings() []account.Finding {
	return []account.Finding{
		{
			ID: "GO-2026-0001", IDs: []string{"GO-2026-0001", "GHSA-aaaa"}, Aliases: []string{"CVE-2026-1"}, Summary: "=cmd|' /C calc'!A0 <script>alert(1)</script>",
			Severity: account.Severity{Level: "critical", Score: 9.8, By: "CVSS_V3", Through: "CVE-2026-1"},
			PURL:     "pkg:golang/example.com/a@v1.0.0", Package: "example.com/a", PackageVersion: "v1.0.0", Ecosystem: "Go", Fixed: []string{"1.0.1"},
			Why: "GO-2026-0001: v1.0.0 is before 1.0.1", Published: noon(8), Known: noon(9), Occurrence: account.Since,
		},
		{
			ID: "GO-2026-0002", IDs: []string{"GO-2026-0002"}, Severity: account.Severity{Level: "unscored"}, PURL: "pkg:golang/example.com/b@v1.0.0", Package: "@b", PackageVersion: "-1",
			Ecosystem: "Go", Occurrence: account.Then, Statement: &account.Statement{Status: "not_affected", Justification: "vulnerable_code_not_present", Author: "acme", Origin: "paper", At: noon(3), Suppresses: true},
		},
		{ID: "GO-2025-0003", Severity: account.Severity{Level: "low", Score: 2}, PURL: "pkg:golang/example.com/b@v1.0.0", Package: "b", GoneAt: noon(9), Occurrence: account.Gone},
	}
}

func (m *memory) Findings(_ context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error) {
	var all []account.Finding
	for _, f := range findings() {
		if key == 2 && (q.Severity == "" || q.Severity == f.Severity.Level) && strings.Contains(f.ID+f.Package, q.Text) {
			all = append(all, f)
		}
	}
	return part(all, p, m.err)
}

func (m *memory) Packages(_ context.Context, _ int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	var all []account.Package
	for _, pkg := range []account.Package{
		{PURL: "pkg:golang/example.com/a@v1.0.0", Name: "example.com/a", Version: "v1.0.0", Licences: []string{"MIT", "Apache-2.0"}, Findings: 1, Worst: "critical"},
		{PURL: "pkg:generic/b@1", Name: "=b,\"c\"\n", Version: "1", Gap: "no feed speaks of generic packages"},
	} {
		if strings.Contains(pkg.Name, q.Text) {
			all = append(all, pkg)
		}
	}
	return part(all, p, m.err)
}

func (m *memory) Compare(_ context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error) {
	if m.err != nil {
		return account.Comparison{}, m.err
	}
	if from.Repository != repository || to.Repository != repository {
		return account.Comparison{}, account.ErrNotFound
	}
	packages := account.PackageChanges{Same: 1}
	var errs [3]error
	packages.Changed, errs[0] = part([]account.PackageChange{
		{Package: "pkg:golang/example.com/a", From: []string{"v0.9.0"}, To: []string{"v1.0.0"}},
		{Package: "pkg:golang/example.com/b", From: []string{"v1.0.0"}, To: []string{"v1.0.0", "v1.1.0"}},
	}, pages.Changed, m.err)
	packages.Added, errs[1] = part([]account.PackageChange{
		{Package: "pkg:golang/example.com/c", To: []string{"v1.0.0"}}, {Package: "pkg:golang/example.com/d", To: []string{"v1.0.0"}},
	}, pages.Added, m.err)
	packages.Removed, errs[2] = part([]account.PackageChange{
		{Package: "pkg:golang/example.com/e", From: []string{"v1.0.0"}}, {Package: "pkg:golang/example.com/f", From: []string{"v1.0.0"}},
	}, pages.Removed, m.err)
	return account.Comparison{
		From: standing(0), To: standing(1), Introduced: findings()[:1], Common: 1, LicencesNew: []string{"Apache-2.0"},
		Packages: packages,
		Sizes:    []account.SizeChange{{Platform: "linux/amd64", From: 19_000_000, To: 20_000_000}, {Platform: "linux/arm64/v8", From: -1, To: 19_000_000}}, FromSigners: []string{"key release.pub"}, ToSigners: []string{"key release.pub"},
	}, cmp.Or(errs[:]...)
}

func (m *memory) Search(_ context.Context, term string, p account.Page) (account.Found, error) {
	l, err := part([]account.Hit{{Standing: standing(1), Matches: []string{"pkg:golang/example.com/a@v1.0.0"}}}, p, m.err)
	found := account.Found{Kind: account.SearchPackage, List: l}
	if strings.HasPrefix(term, "CVE-") {
		a := advisories()[0]
		found.Kind, found.Advisory, found.Unknown = account.SearchAdvisory, &a, "one feed is older than the advisory"
	}
	return found, err
}

func (m *memory) AdvisoryData(context.Context) (account.Data, error) {
	return account.Data{Oldest: noon(9), Feeds: []ledger.Feed{
		{Ecosystem: "Go", Source: "https://osv.example.com/Go", Records: 7000, Newest: noon(8), SyncedAt: noon(9), TriedAt: noon(10), Reason: "osv.example.com: 503"},
		{Ecosystem: "npm", Source: "https://osv.example.com/npm", TriedAt: noon(10), Reason: "osv.example.com: 503"},
	}}, m.err
}

func advisories() []account.Advisory {
	return []account.Advisory{
		{ID: "GO-2026-0001", Ecosystem: "Go", Aliases: []string{"CVE-2026-1"}, Summary: "Bad", Severity: account.Severity{Level: "critical", Score: 9.8}, Published: noon(8), Modified: noon(8), FirstSeen: noon(9), Packages: 1, Images: 1},
		{ID: "GO-2026-0002", Ecosystem: "Go", Packages: -1, Images: -1},
	}
}

func (m *memory) Advisories(_ context.Context, _ account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error) {
	return part(advisories(), p, m.err)
}

func (m *memory) Advisory(_ context.Context, id string) (account.AdvisoryDetail, error) {
	if id != "GO-2026-0001" && m.err == nil {
		return account.AdvisoryDetail{}, account.ErrNotFound
	}
	return account.AdvisoryDetail{Advisory: advisories()[0], Raw: []byte(`{"id":"GO-2026-0001"}`), Versions: []account.AdvisoryVersion{{FirstSeen: noon(9), Modified: noon(8)}}}, m.err
}

func (m *memory) AdvisoryReleases(ctx context.Context, id string, p account.Page) (account.List[account.Hit], error) {
	if _, err := m.Advisory(ctx, id); err != nil {
		return account.List[account.Hit]{}, err
	}
	return part([]account.Hit{{Standing: standing(1), Matches: []string{"pkg:golang/example.com/a@v1.0.0"}}}, p, nil)
}

func waves() []account.Wave {
	return []account.Wave{{
		Wave:     ledger.Wave{ID: 7, Cause: release.WaveAdvisories, Origin: "Go", At: noon(9), Judged: true},
		SealedAt: noon(9), JudgedAt: noon(9), Images: 1, New: 1, Verdicts: 1,
	}}
}

func (m *memory) Activity(_ context.Context, p account.Page) (account.List[account.Wave], error) {
	return part(waves(), p, m.err)
}

func change() release.FindingChange {
	return release.FindingChange{ID: "GO-2026-0001", Aliases: []string{"CVE-2026-1"}, Severity: "critical", PURLs: []string{"pkg:golang/example.com/a@v1.0.0"}, Change: release.ChangeNew, Fixed: []string{"1.0.1"}, Releases: 1}
}

func (m *memory) WaveDetail(_ context.Context, id int64, p account.WavePages) (account.WaveDetail, error) {
	if id != 7 && m.err == nil {
		return account.WaveDetail{}, account.ErrNotFound
	}
	d := account.WaveDetail{Wave: waves()[0]}
	gone := change()
	gone.Change = release.ChangeGone
	var errs [3]error
	d.Findings, errs[0] = part([]release.FindingChange{change(), gone}, p.Findings, m.err)
	d.Changes, errs[1] = part([]release.VerdictChange{
		{Repository: repository, Version: "v1.1.0", Digest: storetest.DigestOf("v1.1.0"), Before: "pass", After: "fail", Reasons: []string{"1 critical finding, expected 0."}},
		{Repository: repository, Digest: storetest.DigestOf("v1.0.0"), After: "pass"},
	}, p.Verdicts, m.err)
	d.Evidence, errs[2] = part([]release.EvidenceChange{
		{Repository: repository, Version: "v1.1.0", Kind: release.PaperVEX, Before: release.StateUnknown, After: release.StateVerified, Reason: "signed"},
		{Repository: repository, Version: "v1.1.0", Kind: release.PaperSBOM, Before: release.StateUnknown, After: release.StateVerified, Reason: "signed"},
	}, p.Evidence, m.err)
	return d, cmp.Or(errs[:]...)
}

func (m *memory) Document(_ context.Context, digest release.Digest) (account.Document, []byte, error) {
	for i := range 3 {
		for _, d := range documents(i) {
			if d.Digest == digest {
				content := map[release.PaperKind][]byte{release.PaperVEX: vex, release.PaperSBOM: spdx, release.PaperSummary: receipt}[d.Kind]
				if d.Format == "CycloneDX" {
					content = cdx
				}
				return d, content, m.err
			}
		}
	}
	if m.err != nil {
		return account.Document{}, nil, m.err
	}
	return account.Document{}, nil, account.ErrNotFound
}

// dossierParts are the file of the dossier of v1.1.0.
func dossierParts() []string { return []string{"first part, ", "second part, ", "end"} }

// Dossier is ready for v1.1.0, in the making for v1.0.0, and failed for v1.2.0.
func (m *memory) Dossier(_ context.Context, _ string, digest release.Digest) (account.Dossier, error) {
	d := account.Dossier{ID: 1, State: account.DossierMaking, AskedBy: "ann", AskedAt: noon(9), Progress: &ledger.Progress{
		Step: release.StepDossier, Subject: repository + "@" + string(digest), Done: 10, Total: 100, Note: "write", StartedAt: noon(9), UpdatedAt: noon(10),
	}}
	file := strings.Join(dossierParts(), "")
	switch digest {
	case storetest.DigestOf("v1.1.0"):
		d = account.Dossier{
			ID: 2, State: account.DossierReady, AskedBy: "ann", AskedAt: noon(9), MadeAt: noon(9), ExpiresAt: noon(10),
			Digest: storetest.DigestOf("dossier"), File: storetest.DigestOf(file), Size: int64(len(file)), Outdated: true,
		}
	case storetest.DigestOf("v1.2.0"):
		d = account.Dossier{ID: 3, State: account.DossierFailed, AskedBy: "ann", AskedAt: noon(9), Failure: "ghcr.io: 403"}
	}
	return d, m.err
}

func (m *memory) DossierPart(_ context.Context, id int64, number int) ([]byte, error) {
	all := dossierParts()
	if m.err == nil && (id != 2 || number >= len(all) || m.lost && number > 0) {
		return nil, account.ErrNotFound
	}
	return []byte(all[min(number, len(all)-1)]), m.err
}

func (m *memory) Judged(_ context.Context, digest release.Digest) ([]account.Standing, error) {
	var all []account.Standing
	for i := range 3 {
		s := standing(i)
		// arm64 is shared by all three, as a platform that did not change is.
		if digest == s.Image.Digest || digest == arm64 {
			all = append(all, s)
		}
	}
	return all, m.err
}

func (m *memory) Repairs(context.Context, string) ([]account.Repair, error) {
	return []account.Repair{
		{ID: "GO-2025-0009", From: "v0.9.0", KnownAt: noon(1).Add(-48 * time.Hour), In: "v1.0.0", FixedAt: noon(1)},
		{ID: "GO-2026-0001", From: "v1.1.0", KnownAt: noon(8)},
	}, m.err
}

func (m *memory) NewFindings(_ context.Context, p account.Page) (account.List[account.NewFinding], error) {
	return part([]account.NewFinding{{FindingChange: change(), At: noon(9), Wave: 7}}, p, m.err)
}
