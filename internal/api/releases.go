package api

import (
	"cmp"
	"context"
	"errors"
	"sort"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
)

// find reads a release; one that is not there is a problem that names it.
func (a *API) find(ctx context.Context, in *ofRelease) (account.Release, error) {
	r, err := a.cfg.Store.Release(ctx, in.ref())
	if errors.Is(err, account.ErrNotFound) {
		return r, notFound("release", "path.name", wire.ID(in.ref()))
	}
	return r, err
}

func (a *API) release(ctx context.Context, in *ofRelease) (*answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return &answer{body: wire.ReleaseDetailOf(&r)}, nil
}

type historyOfRelease struct {
	ofRelease
	page
}

func (a *API) verdicts(ctx context.Context, in *historyOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	var found account.List[account.Verdict]
	if err == nil && r.Key != 0 { // without a key nothing was judged
		found, err = a.cfg.Store.Verdicts(ctx, r.Key, in.account())
	}
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.VerdictOf)), nil
}

func (a *API) evidenceChanges(ctx context.Context, in *historyOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	var found account.List[account.EvidenceChange]
	if err == nil && r.Key != 0 { // without a key no papers were looked at
		found, err = a.cfg.Store.EvidenceChanges(ctx, r.Key, account.ChangeQuery{}, in.account())
	}
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.EvidenceChangeOf)), nil
}

type findingFilter struct {
	Severity string `query:"severity" enum:"critical,high,medium,low,none,unscored" doc:"Only this level."`
	Show     string `query:"show" enum:"open,suppressed,gone" doc:"open: those that count. All, when it is left out."`
	Text     string `query:"text" maxLength:"200" doc:"Part of an id, an alias or the name of a package."`
	Sort     string `query:"sort" enum:"severity,-severity,package,-package,id,-id,known,-known" doc:"severity is the default; a minus reverses."`
}

func (f *findingFilter) account() account.FindingQuery {
	return account.FindingQuery{Severity: f.Severity, Show: f.Show, Text: f.Text, Sort: f.Sort}
}

type findingsOfRelease struct {
	ofRelease
	findingFilter
	page
}

func (a *API) findings(ctx context.Context, in *findingsOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	found := account.List[account.Finding]{Total: -1}
	if r.Key != 0 {
		if found, err = a.cfg.Store.Findings(ctx, r.Key, in.findingFilter.account(), in.page.account()); err != nil {
			return nil, err
		}
	}
	l := wire.ListOf(found, wire.FindingOf)
	l.Unknown(whyFindings(&r.Standing))
	return listed(l), nil
}

// notExamined is why nothing is known of an image whose papers nobody looked at.
const notExamined = "the papers of the image have not been looked at yet"

// whyFindings is why the findings of a release are not all known; empty when they are.
func whyFindings(s *account.Standing) string {
	if s.Key == 0 {
		return notExamined
	}
	return wire.WhyUnknown(s.Now)
}

// whyPackages is why the packages of a release are not known; empty when they are.
func whyPackages(r *account.Release) string {
	if r.Key == 0 {
		return notExamined
	}
	why := "there is no SBOM that counts for it"
	for i := range r.Documents {
		d := &r.Documents[i]
		if d.Kind != release.PaperSBOM {
			continue
		}
		if d.Failure == "" {
			return ""
		}
		why = "the SBOM of " + d.On + " cannot be read: " + d.Failure
	}
	return why
}

type packageFilter struct {
	Text    string `query:"text" maxLength:"200" doc:"Part of the name or the purl."`
	Licence string `query:"licence" maxLength:"500" doc:"A licence as the SBOM writes it."`
	Subject string `query:"subject" pattern:"^sha256:[0-9a-f]{64}$" doc:"The manifest whose SBOM is read; all of them, when it is left out."`
	Sort    string `query:"sort" enum:"name,-name,version,-version,findings,-findings" doc:"name is the default, findings puts those with the most first; a minus reverses."`
}

func (f *packageFilter) account() account.PackageQuery {
	return account.PackageQuery{Text: f.Text, Licence: f.Licence, Subject: release.Digest(f.Subject), Sort: f.Sort}
}

type packagesOfRelease struct {
	ofRelease
	packageFilter
	page
}

func (a *API) packages(ctx context.Context, in *packagesOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	found := account.List[account.Package]{Total: -1}
	if r.Key != 0 {
		if found, err = a.cfg.Store.Packages(ctx, r.Key, in.packageFilter.account(), in.page.account()); err != nil {
			return nil, err
		}
	}
	l := wire.ListOf(found, wire.PackageOf)
	l.Unknown(whyPackages(&r))
	return listed(l), nil
}

type comparing struct {
	From string `query:"from" required:"true" maxLength:"400" example:"ghcr.io/acme/web:v1.3.0" doc:"A release: repository:version or repository@digest."`
	To   string `query:"to" required:"true" maxLength:"400" example:"ghcr.io/acme/web:v1.4.0" doc:"Another."`

	Added   string `query:"added_cursor" maxLength:"4000" doc:"Where the packages that were added go on: added_next of the answer before."`
	Removed string `query:"removed_cursor" maxLength:"4000" doc:"Where the packages that were removed go on: removed_next of the answer before."`
	Changed string `query:"changed_cursor" maxLength:"4000" doc:"Where the packages that changed go on: changed_next of the answer before."`
	Limit   int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"The most packages of each list."`
}

func (a *API) compare(ctx context.Context, in *comparing) (*answer, error) {
	from, ok := wire.ParseID(in.From)
	to, fine := wire.ParseID(in.To)
	var mistakes []mistake
	for _, id := range []struct {
		where, text string
		ok          bool
	}{{"query.from", in.From, ok}, {"query.to", in.To, fine}} {
		if !id.ok {
			mistakes = append(mistakes, mistake{id.where, "repository:version or repository@sha256:…", quoted(id.text)})
		}
	}
	if len(mistakes) > 0 {
		return nil, invalid(mistakes...)
	}
	c, err := a.cfg.Store.Compare(ctx, from, to, account.ComparePages{
		Added: account.Page{After: in.Added, Limit: in.Limit}, Removed: account.Page{After: in.Removed, Limit: in.Limit},
		Changed: account.Page{After: in.Changed, Limit: in.Limit},
	})
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil, notFound("release", "query", in.From+" or "+in.To)
	case errors.Is(err, account.ErrCursor):
		return nil, otherCursor()
	case err != nil:
		return nil, err
	}
	return &answer{body: wire.ComparisonOf(&c)}, nil
}

type searching struct {
	hits

	Term string `query:"q" required:"true" maxLength:"400" example:"golang.org/x/net@<0.23.0" doc:"A package with @version or @range, an advisory, a digest, or part of a repository with :version."`
}

func (a *API) search(ctx context.Context, in *searching) (*answer, error) {
	if strings.TrimSpace(in.Term) == "" {
		return nil, invalid(mistake{"query.q", "a term", "spaces"})
	}
	found, err := a.cfg.Store.Search(ctx, in.Term, in.account())
	if err != nil {
		return nil, err
	}
	told := wire.FoundOf(&found)
	return &answer{body: told, next: told.Next}, nil
}

type ofDigest struct {
	Digest string `path:"digest" pattern:"^sha256:[0-9a-f]{64}$" example:"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"`
}

func (a *API) verdict(ctx context.Context, in *ofDigest) (*answer, error) {
	releases, err := a.cfg.Store.Judged(ctx, release.Digest(in.Digest))
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return nil, err
	}
	if len(releases) == 0 {
		p := notFound("digest", "path.digest", in.Digest)
		p.Type, p.Title = "urn:tallyman:problem:"+kindUnknownDigest, "Unknown digest"
		p.Detail = "no release with the digest " + in.Digest + " is known: whether it may be used is unknown, which is not a pass"
		return nil, p
	}
	data, err := a.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return nil, err
	}
	told := wire.DigestVerdict{Digest: in.Digest, AdvisoryData: wire.DataAgeOf(&data)}
	for i := range releases {
		told.Releases = append(told.Releases, wire.JudgmentOf(&releases[i]))
	}
	// Not package slices, here and elsewhere: sorting is code anew for each type there.
	sort.SliceStable(told.Releases, func(i, j int) bool {
		x, y := &told.Releases[i], &told.Releases[j]
		return cmp.Or(release.CompareResults(release.Result(x.Now.Result), release.Result(y.Now.Result)), cmp.Compare(x.ID, y.ID)) < 0
	})
	worst := &told.Releases[0].Now
	told.Result, told.Reasons, told.Counts = worst.Result, worst.Reasons, worst.Counts
	return &answer{body: told}, nil
}
