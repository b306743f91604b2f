package console_test

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// memory is a store in memory, which says what it is filled with. A database takes part
// in the tests of packages store and service.
type memory struct {
	components []account.Component
	// releases are by repository, in the order of the list.
	releases   map[string][]account.Release
	findings   map[int64][]account.Finding
	packages   map[int64][]account.Package
	comparison account.Comparison
	found      account.Found
	data       account.Data
	advisories []account.AdvisoryDetail
	hits       []account.Hit
	waves      []wave
	progress   []ledger.Progress
	queue      account.Queue
	request    account.Asked
	dossier    account.Dossier
	documents  map[release.Digest]content
	repairs    []account.Repair
	// err is what every call ends with.
	err error
	// asked are the requests; searched the last term, of and with the last query.
	asked    []account.Request
	searched string
	query    any
	// page is the part of a list in order of time that was last asked for.
	page account.Page
	// before are the versions for which the one before was asked for.
	before []string
}

type content struct {
	document account.Document
	bytes    []byte
}

// part is a part of a list; its cursor is a number.
func part[T any](m *memory, all []T, p account.Page) (account.List[T], error) {
	from := 0
	if p.After != "" {
		n, err := strconv.Atoi(p.After)
		if err != nil || n < 0 || n > len(all) {
			return account.List[T]{}, account.ErrCursor
		}
		from = n
	}
	list := account.List[T]{Items: all[from:min(len(all), from+p.Limit)], Total: len(all)}
	if end := from + p.Limit; end < len(all) {
		list.Next = strconv.Itoa(end)
	}
	return list, m.err
}

func (m *memory) Components(context.Context) ([]account.Component, error) { return m.components, m.err }

func (m *memory) Component(_ context.Context, repository string) (account.Component, error) {
	for _, c := range m.components {
		if c.Repository == repository {
			return c, m.err
		}
	}
	return account.Component{}, cmpErr(m.err, account.ErrNotFound)
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (m *memory) Releases(_ context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error) {
	m.query = q
	var all []account.Standing
	for _, r := range m.releases[q.Repository] {
		if q.Result == "" || r.Now != nil && r.Now.Result == q.Result {
			all = append(all, r.Standing)
		}
	}
	return part(m, all, p)
}

func (m *memory) Release(_ context.Context, ref account.Ref) (account.Release, error) {
	for _, r := range m.releases[ref.Repository] {
		if r.Version == ref.Name || string(r.Image.Digest) == ref.Name {
			newest := account.Page{Limit: 50}
			r.Moves, _ = part(m, moved(&r), newest)
			r.Changes, _ = part(m, r.Changes.Items, newest)
			r.Verdicts, _ = part(m, verdicts(&r), newest)
			return r, m.err
		}
	}
	return account.Release{}, cmpErr(m.err, account.ErrNotFound)
}

// verdicts is the whole history of a release: what it is filled with, and the one at release.
func verdicts(r *account.Release) []account.Verdict {
	all := slices.Clone(r.Verdicts.Items)
	if r.AtRelease != nil {
		all = append(all, *r.AtRelease)
	}
	for i := range all[:max(0, len(all)-1)] {
		all[i].Before = &all[i+1]
	}
	return all
}

func moved(r *account.Release) []account.EvidenceChange {
	return slices.DeleteFunc(slices.Clone(r.Changes.Items), func(c account.EvidenceChange) bool { return c.Before == "" })
}

// keyed is the first of the releases with a key that have a history.
func (m *memory) keyed(key int64) *account.Release {
	for i := range m.releases[webRepository] {
		if r := &m.releases[webRepository][i]; r.Key == key {
			return r
		}
	}
	return &account.Release{}
}

func (m *memory) Verdicts(_ context.Context, key int64, p account.Page) (account.List[account.Verdict], error) {
	return part(m, verdicts(m.keyed(key)), p)
}

func (m *memory) EvidenceChanges(_ context.Context, key int64, q account.ChangeQuery, p account.Page) (account.List[account.EvidenceChange], error) {
	if q.Moved {
		return part(m, moved(m.keyed(key)), p)
	}
	return part(m, m.keyed(key).Changes.Items, p)
}

func (m *memory) Before(_ context.Context, repository, version string) (string, error) {
	m.before = append(m.before, version)
	list := m.releases[repository]
	for i := range list {
		if list[i].Version == version && i+1 < len(list) {
			return list[i+1].Version, m.err
		}
	}
	return "", m.err
}

func (m *memory) Findings(_ context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error) {
	m.query = q
	all := slices.DeleteFunc(slices.Clone(m.findings[key]), func(f account.Finding) bool {
		return q.Severity != "" && f.Severity.Level != q.Severity || !strings.Contains(f.ID+" "+f.Package, q.Text)
	})
	return part(m, all, p)
}

func (m *memory) Packages(_ context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	m.query = q
	all := slices.DeleteFunc(slices.Clone(m.packages[key]), func(one account.Package) bool {
		return !strings.Contains(one.PURL, q.Text) || q.Licence != "" && !slices.Contains(one.Licences, q.Licence)
	})
	return part(m, all, p)
}

func (m *memory) Compare(ctx context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error) {
	a, err := m.Release(ctx, from)
	if err != nil {
		return account.Comparison{}, err
	}
	b, err := m.Release(ctx, to)
	if err != nil {
		return account.Comparison{}, err
	}
	c := m.comparison
	c.From, c.To = a.Standing, b.Standing
	for list, p := range map[*account.List[account.PackageChange]]account.Page{
		&c.Packages.Added: pages.Added, &c.Packages.Removed: pages.Removed, &c.Packages.Changed: pages.Changed,
	} {
		if *list, err = part(m, list.Items, p); err != nil {
			return account.Comparison{}, err
		}
	}
	return c, nil
}

func (m *memory) Search(_ context.Context, term string, p account.Page) (account.Found, error) {
	m.searched, m.page = term, p
	f := m.found
	list, err := part(m, f.Items, p)
	f.List = list
	return f, err
}

func (m *memory) AdvisoryData(context.Context) (account.Data, error) { return m.data, m.err }

func (m *memory) Advisories(_ context.Context, q account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error) {
	m.query = q
	var all []account.Advisory
	for _, a := range m.advisories {
		all = append(all, a.Advisory)
	}
	return part(m, all, p)
}

func (m *memory) Advisory(_ context.Context, id string) (account.AdvisoryDetail, error) {
	for _, a := range m.advisories {
		if a.ID == id || slices.Contains(a.Aliases, id) {
			return a, m.err
		}
	}
	return account.AdvisoryDetail{}, cmpErr(m.err, account.ErrNotFound)
}

func (m *memory) AdvisoryReleases(_ context.Context, _ string, p account.Page) (account.List[account.Hit], error) {
	m.page = p
	return part(m, m.hits, p)
}

func (m *memory) Activity(_ context.Context, p account.Page) (account.List[account.Wave], error) {
	m.page = p
	var all []account.Wave
	for _, w := range m.waves {
		all = append(all, w.Wave)
	}
	return part(m, all, p)
}

// wave is a wave with all that it did.
type wave struct {
	account.Wave
	Findings []release.FindingChange
	Changes  []release.VerdictChange
	Evidence []release.EvidenceChange
}

func (m *memory) WaveDetail(_ context.Context, id int64, p account.WavePages) (account.WaveDetail, error) {
	for _, w := range m.waves {
		if w.ID == id {
			var errs [3]error
			d := account.WaveDetail{Wave: w.Wave}
			d.Findings, errs[0] = part(m, w.Findings, p.Findings)
			d.Changes, errs[1] = part(m, w.Changes, p.Verdicts)
			d.Evidence, errs[2] = part(m, w.Evidence, p.Evidence)
			return d, cmp.Or(errs[:]...)
		}
	}
	return account.WaveDetail{}, cmpErr(m.err, account.ErrNotFound)
}

func (m *memory) Progress(context.Context) ([]ledger.Progress, error) { return m.progress, m.err }

func (m *memory) Queue(context.Context) (account.Queue, error) { return m.queue, m.err }

func (m *memory) Asked(context.Context, string, release.Digest) (account.Asked, error) {
	return m.request, m.err
}

func (m *memory) Dossier(context.Context, string, release.Digest) (account.Dossier, error) {
	return m.dossier, m.err
}

func (m *memory) Document(_ context.Context, d release.Digest) (account.Document, []byte, error) {
	c, ok := m.documents[d]
	if !ok {
		return account.Document{}, nil, cmpErr(m.err, account.ErrNotFound)
	}
	return c.document, c.bytes, m.err
}

func (m *memory) Repairs(context.Context, string) ([]account.Repair, error) { return m.repairs, m.err }

func (m *memory) Ask(_ context.Context, r account.Request) error {
	m.asked = append(m.asked, r)
	return m.err
}
