package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// somePackages bounds the packages whose name only begins with the term.
const somePackages = 200

// Search finds releases by what a term names: a digest or its beginning, an advisory, a
// package with @version or @range behind it, or part of a repository with :version behind
// it or not. Releases are in order of when they were first seen, and those that ship a
// package in order of when their documents were read.
func (s *Store) Search(ctx context.Context, term string, p account.Page) (account.Found, error) {
	var found account.Found
	err := s.view(ctx, func(tx *transaction) (err error) {
		found, err = s.search(ctx, tx, strings.TrimSpace(term), p)
		return err
	})
	if err != nil {
		return account.Found{}, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

func (s *Store) search(ctx context.Context, tx *transaction, term string, p account.Page) (account.Found, error) {
	if term == "" {
		return account.Found{Kind: account.SearchRelease}, nil
	}
	if hex, ok := digestPrefix(term); ok {
		return searchDigest(ctx, tx, hex, p)
	}
	keys, err := advisoriesNamed(ctx, tx, term)
	if err != nil {
		return account.Found{}, err
	}
	if len(keys) > 0 || looksLikeAdvisory(term) {
		return s.searchAdvisory(ctx, tx, term, keys, p)
	}
	packages, err := s.packagesNamed(ctx, tx, term)
	if err != nil {
		return account.Found{}, err
	}
	if len(packages) > 0 || strings.HasPrefix(term, "pkg:") || strings.Contains(term, "@") {
		return s.searchPackages(ctx, tx, packages, p)
	}
	return searchReleases(ctx, tx, term, p)
}

// digestPrefix reports whether a term is a digest, or at least eight digits of one, and
// returns it whole as far as it goes.
func digestPrefix(term string) (string, bool) {
	hex, marked := strings.CutPrefix(strings.ToLower(term), "sha256:")
	if strings.Trim(hex, "0123456789abcdef") != "" || len(hex) > 64 || len(hex) < 8 && !marked || hex == "" {
		return "", false
	}
	return "sha256:" + hex, true
}

func searchDigest(ctx context.Context, tx *transaction, prefix string, p account.Page) (account.Found, error) {
	// Behind every hexadecimal digit comes g, in any order of letters that a database has.
	// SQLite goes from the images to the releases, as they stand here.
	where := conditions{args: []any{prefix, prefix + "g", prefix, prefix + "g"}}
	where.add(`r.repository = found.repository AND r.digest = found.digest`)
	return hits(ctx, tx, account.SearchDigest, p, `(SELECT i.repository, i.digest FROM image i WHERE i.digest >= $1 AND i.digest < $2
		UNION SELECT p.repository, p.image_digest FROM platform p WHERE p.digest >= $3 AND p.digest < $4) AS found CROSS JOIN release r`, where)
}

// searchReleases finds releases by part of their repository, and by version.
func searchReleases(ctx context.Context, tx *transaction, term string, p account.Page) (account.Found, error) {
	repository, version := term, ""
	if at := strings.LastIndexByte(term, ':'); at > strings.LastIndexByte(term, '/') {
		repository, version = term[:at], term[at+1:]
	}
	condition := `lower(r.repository) LIKE ? ESCAPE '\'`
	args := []any{containing(strings.ToLower(repository))}
	if version != "" {
		condition += ` AND r.version LIKE ? ESCAPE '\'`
		args = append(args, escaped(version)+"%")
	} else if release.KindOfTag(term) == release.TagVersion {
		condition, args = `r.version = ?`, []any{term}
	}
	var where conditions
	where.add(condition, args...)
	return hits(ctx, tx, account.SearchRelease, p, `release r`, where)
}

// hits reads the releases r that conditions hold for, in order of time.
func hits(ctx context.Context, tx *transaction, kind account.SearchKind, p account.Page, from string, where conditions) (account.Found, error) {
	found := account.Found{Kind: kind}
	way := wayOf(p.Oldest)
	after, err := readBookmark(p.After, way.list("hits"), 3)
	if err != nil {
		return found, err
	}
	if len(after) > 0 {
		at, err := strconv.ParseInt(after[0], 10, 64)
		if err != nil {
			return found, account.ErrCursor
		}
		where.add(way.sql(seenBefore), at, after[1], after[2])
	}
	text, values := where.text()
	limit := limitOf(p)
	items, err := chosen(ctx, tx, from, text+way.sql(lastSeenFirst)+fmt.Sprintf(` LIMIT %d`, limit+1), values...)
	if err != nil {
		return found, err
	}
	part := cut(items, limit, func(last *account.Standing) string {
		return bookmark(way.list("hits"), decimal(micros(last.FirstSeen)), last.Image.Repository, last.Version)
	})
	found.Next, found.Total = part.Next, part.Total
	if err := complete(ctx, tx, pointers(part.Items), false); err != nil {
		return found, err
	}
	for i := range part.Items {
		found.Items = append(found.Items, account.Hit{Standing: part.Items[i]})
	}
	return found, nil
}

// lastSeenFirst orders releases r by when they were first seen, and seenBefore is the
// condition on those that come later.
const (
	lastSeenFirst = `ORDER BY r.first_seen DESC, r.repository DESC, r.version DESC`
	seenBefore    = `(r.first_seen, r.repository, r.version) < (?, ?, ?)`
)

// looksLikeAdvisory reports whether a term has the form of an advisory's id, such as
// CVE-2024-1: nothing else would be meant by it.
func looksLikeAdvisory(term string) bool {
	prefix, rest, ok := strings.Cut(strings.ToUpper(term), "-")
	if !ok || rest == "" {
		return false
	}
	switch prefix {
	case "CVE", "GHSA", "GO", "OSV", "PYSEC", "RUSTSEC", "DSA", "DLA", "USN", "RHSA", "ALSA", "RLSA", "MAL", "ALPINE", "CGA", "UBUNTU", "DEBIAN":
		return true
	}
	return false
}

// advisoriesNamed returns the advisories that have a name: their own, or an alias.
func advisoriesNamed(ctx context.Context, tx *transaction, name string) ([]int64, error) {
	names := []any{name}
	if upper := strings.ToUpper(name); upper != name {
		names = append(names, upper)
	}
	if prefix, rest, ok := strings.Cut(name, "-"); ok && strings.EqualFold(prefix, "GHSA") {
		names = append(names, "GHSA-"+strings.ToLower(rest))
	}
	keys, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, `SELECT DISTINCT advisory_id FROM advisory_alias WHERE NOT upstream AND name IN `+list(len(names), 0)+` ORDER BY advisory_id`, names...)
	if err != nil {
		return nil, fmt.Errorf("look for advisories: %w", err)
	}
	return keys, nil
}

func (s *Store) searchAdvisory(ctx context.Context, tx *transaction, term string, keys []int64, p account.Page) (account.Found, error) {
	if len(keys) == 0 {
		return account.Found{
			Kind:    account.SearchAdvisory,
			Unknown: "no advisory of that name is known here: it may be of an ecosystem that is not kept, or newer than the data",
		}, nil
	}
	found, err := s.affectedReleases(ctx, tx, keys, p)
	if err != nil {
		return found, err
	}
	all, err := readAdvisories(ctx, tx, `WHERE a.id IN `+list(len(keys), 0), anys(keys)...)
	if err != nil {
		return found, err
	}
	if len(all) > 0 {
		found.Advisory = &all[max(0, slices.IndexFunc(all, func(a account.Advisory) bool { return strings.EqualFold(a.ID, term) }))]
	}
	return found, nil
}

// affectedReleases finds the releases that ship a package with a finding of one of the
// advisories.
func (s *Store) affectedReleases(ctx context.Context, tx *transaction, advisories []int64, p account.Page) (account.Found, error) {
	packages, err := collect(ctx, tx, scanNamedPackage, `
		SELECT p.id, p.purl, p.version, p.family FROM package p WHERE p.id IN
			(SELECT f.package_id FROM finding f WHERE f.until IS NULL AND f.advisory_id IN `+list(len(advisories), 0)+`) ORDER BY p.id`, anys(advisories)...)
	if err != nil {
		return account.Found{}, fmt.Errorf("read affected packages: %w", err)
	}
	found, err := s.searchPackages(ctx, tx, packages, p)
	found.Kind = account.SearchAdvisory
	return found, err
}

// namedPackage is a package that a term names.
type namedPackage struct {
	key                   int64
	purl, version, family string
}

func scanNamedPackage(rows *sql.Rows) (p namedPackage, err error) {
	err = rows.Scan(&p.key, &p.purl, &p.version, &p.family)
	return p, err
}

// packagesNamed returns the packages of a name, or else those whose name begins with it,
// in the versions that the term asks for.
func (s *Store) packagesNamed(ctx context.Context, tx *transaction, term string) ([]namedPackage, error) {
	name, wanted := term, ""
	if strings.HasPrefix(term, "pkg:") {
		name, wanted = account.SplitPURL(term)
		if at := strings.LastIndexByte(term, '@'); at > strings.LastIndexByte(term, '/') && strings.ContainsAny(term[at:], "<>=") {
			name, wanted = term[:at], term[at+1:]
		}
	} else if at := strings.LastIndexByte(term, '@'); at > 0 {
		name, wanted = term[:at], strings.TrimSpace(term[at+1:])
	}
	const columns = `SELECT id, purl, version, family FROM package `
	var all []namedPackage
	var err error
	if strings.HasPrefix(name, "pkg:") {
		subject, _, _ := advisory.IdentifyPURL(name)
		all, err = collect(ctx, tx, scanNamedPackage, columns+`WHERE purl = $1 OR family = $2 AND subject = $3 AND family <> '' ORDER BY id`,
			term, subject.Family, subject.Name)
		all = slices.DeleteFunc(all, func(p namedPackage) bool {
			base, _ := account.SplitPURL(p.purl)
			return base != name && p.purl != term
		})
	} else {
		// With OR, PostgreSQL would look through all packages.
		all, err = collect(ctx, tx, scanNamedPackage, columns+`WHERE name = $1 UNION ALL
			`+columns+`WHERE family `+s.engine.within(`SELECT family FROM ecosystem`)+` AND subject = $2 AND name <> $3 ORDER BY id`, name, name, name)
		if err == nil && len(all) == 0 && len(name) >= 3 && !strings.ContainsAny(name, ":") {
			from := folded(name)
			all, err = collect(ctx, tx, scanNamedPackage, columns+`WHERE folded >= $1 AND folded < $2 ORDER BY folded, id LIMIT $3`,
				from, append(slices.Clone(from), 0xff), somePackages)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look for packages: %w", err)
	}
	return slices.DeleteFunc(all, func(p namedPackage) bool { return !inRange(p.family, versionOf(&p), wanted) }), nil
}

// versionOf is the version that advisories compare: that of the purl.
func versionOf(p *namedPackage) string {
	if _, version := account.SplitPURL(p.purl); version != "" {
		return version
	}
	return p.version
}

// inRange reports whether a version is one that is asked for: equal to it, or within all
// of its bounds, such as ">=1.2 <2". A version that cannot be compared is within none.
func inRange(family, version, wanted string) bool {
	for bound := range strings.FieldsSeq(strings.NewReplacer(",", " ", "< ", "<", "> ", ">", "= ", "=").Replace(wanted)) {
		operator := bound[:len(bound)-len(strings.TrimLeft(bound, "<>="))]
		than := bound[len(operator):]
		if operator == "" || operator == "=" || operator == "==" {
			if strings.TrimPrefix(than, "v") != strings.TrimPrefix(version, "v") {
				return false
			}
			continue
		}
		c, err := advisory.CompareVersions(family, strings.TrimPrefix(version, "v"), strings.TrimPrefix(than, "v"))
		if err != nil {
			return false
		}
		switch operator {
		case "<":
			if c >= 0 {
				return false
			}
		case "<=":
			if c > 0 {
				return false
			}
		case ">":
			if c <= 0 {
				return false
			}
		case ">=":
			if c < 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}
