package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// oftenShare is the share of all documents, as one in so many, that makes a package one
	// that is shipped often: the newest images are looked through then, and the first of
	// them have it. Others are looked for from the package on.
	oftenShare = 4
	// someMatches bounds what a hit names.
	someMatches = 5
	// somePackages bounds the packages whose name only begins with the term.
	somePackages = 200
)

// Search finds releases by what a term names: a digest or its beginning, an advisory, a
// package with @version or @range behind it, or part of a repository with :version behind
// it or not. Newer images come first.
func (s *Store) Search(ctx context.Context, term string, p account.Page) (account.Found, error) {
	var found account.Found
	err := s.view(ctx, func(tx *transaction) (err error) {
		found, err = search(ctx, tx, strings.TrimSpace(term), p)
		return err
	})
	if err != nil {
		return account.Found{}, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

func search(ctx context.Context, tx *transaction, term string, p account.Page) (account.Found, error) {
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
		return searchAdvisory(ctx, tx, term, keys, p)
	}
	packages, err := packagesNamed(ctx, tx, term)
	if err != nil {
		return account.Found{}, err
	}
	if len(packages) > 0 || strings.HasPrefix(term, "pkg:") || strings.Contains(term, "@") {
		return searchPackages(ctx, tx, packages, p)
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
	return hits(ctx, tx, account.SearchDigest, p, `(r.repository, r.digest) IN (
		SELECT i.repository, i.digest FROM image i WHERE i.digest >= ? AND i.digest < ?
		UNION SELECT p.repository, p.image_digest FROM platform p WHERE p.digest >= ? AND p.digest < ?)`,
		[]any{prefix, prefix + "g", prefix, prefix + "g"})
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
	return hits(ctx, tx, account.SearchRelease, p, condition, args)
}

// hits reads the releases that a condition holds for, the newest first.
func hits(ctx context.Context, tx *transaction, kind account.SearchKind, p account.Page, condition string, args []any) (account.Found, error) {
	found := account.Found{Kind: kind}
	after, err := readBookmark(p.After, "hits", 3)
	if err != nil {
		return found, err
	}
	var where conditions
	where.add(condition, args...)
	if len(after) > 0 {
		at, err := strconv.ParseInt(after[0], 10, 64)
		if err != nil {
			return found, account.ErrCursor
		}
		where.add(`(r.first_seen, r.repository, r.version) < (?, ?, ?)`, at, after[1], after[2])
	}
	text, values := where.text()
	limit := limitOf(p)
	items, err := chosen(ctx, tx, text+fmt.Sprintf(`ORDER BY r.first_seen DESC, r.repository DESC, r.version DESC LIMIT %d`, limit+1), values...)
	if err != nil {
		return found, err
	}
	part := cut(items, limit, func(last *account.Standing) string {
		return bookmark("hits", decimal(micros(last.FirstSeen)), last.Image.Repository, last.Version)
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

func searchAdvisory(ctx context.Context, tx *transaction, term string, keys []int64, p account.Page) (account.Found, error) {
	if len(keys) == 0 {
		return account.Found{
			Kind:    account.SearchAdvisory,
			Unknown: "no advisory of that name is known here: it may be of an ecosystem that is not kept, or newer than the data",
		}, nil
	}
	found, err := affectedReleases(ctx, tx, keys, p)
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
func affectedReleases(ctx context.Context, tx *transaction, advisories []int64, p account.Page) (account.Found, error) {
	packages, err := collect(ctx, tx, scanNamedPackage, `
		SELECT p.id, p.purl, p.version, p.family FROM package p WHERE p.id IN
			(SELECT f.package_id FROM finding f WHERE f.until IS NULL AND f.advisory_id IN `+list(len(advisories), 0)+`) ORDER BY p.id`, anys(advisories)...)
	if err != nil {
		return account.Found{}, fmt.Errorf("read affected packages: %w", err)
	}
	found, err := searchPackages(ctx, tx, packages, p)
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
func packagesNamed(ctx context.Context, tx *transaction, term string) ([]namedPackage, error) {
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
		all, err = collect(ctx, tx, scanNamedPackage, columns+`WHERE name = $1 OR id IN (SELECT id FROM package WHERE family IN
			(SELECT DISTINCT family FROM ecosystem) AND subject = $2) ORDER BY id`, name, name)
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

// searchPackages finds the releases that ship one of the packages.
func searchPackages(ctx context.Context, tx *transaction, packages []namedPackage, p account.Page) (account.Found, error) {
	if len(packages) == 0 {
		return account.Found{Kind: account.SearchPackage}, nil
	}
	if len(packages) > batch {
		packages = packages[len(packages)-batch:] // the newest
	}
	purls := make(map[int64]string, len(packages))
	keys := make([]int64, len(packages))
	for i := range packages {
		keys[i] = packages[i].key
		purls[packages[i].key] = packages[i].purl
	}
	found := account.Found{Kind: account.SearchPackage}
	limit := limitOf(p)
	images, err := shippers(ctx, tx, keys, p.After, limit+1)
	if err != nil || len(images) == 0 {
		return found, err
	}
	if len(images) > limit {
		images = images[:limit]
		found.Next = bookmark("shippers", decimal(images[limit-1]))
	}
	found.Total = -1
	all, err := standings(ctx, tx, `WHERE (r.repository, r.digest) IN
		(SELECT x.repository, x.digest FROM examination x WHERE x.id IN `+list(len(images), 0)+`) ORDER BY e.id DESC, r.precedence DESC, r.version DESC`, anys(images)...)
	if err != nil {
		return found, err
	}
	if err := complete(ctx, tx, pointers(all), false); err != nil {
		return found, err
	}
	matches, err := shippedBy(ctx, tx, images, keys, purls)
	for i := range all {
		found.Items = append(found.Items, account.Hit{Standing: all[i], Matches: matches[all[i].Key]})
	}
	return found, err
}

// shippers returns the images that ship one of the packages, those first that were
// looked at last.
func shippers(ctx context.Context, tx *transaction, packages []int64, after string, limit int) ([]int64, error) {
	before := int64(math.MaxInt64)
	if at, err := readNumbers(after, "shippers", 1); err != nil {
		return nil, err
	} else if len(at) > 0 {
		before = at[0]
	}
	often, err := shippedOften(ctx, tx, packages)
	if err != nil {
		return nil, fmt.Errorf("count who ships the packages: %w", err)
	}
	// SQLite takes the tables of a CROSS JOIN in this order: from the packages, not from
	// the images.
	query := `SELECT DISTINCT s.id FROM (
			SELECT d.examination_id AS id FROM document_package dp CROSS JOIN image_document d
			WHERE d.document_id = dp.document_id AND dp.package_id IN ` + list(len(packages), 0) + `) AS s
		WHERE s.id < $` + decimal(int64(len(packages)+1)) + ` ORDER BY 1 DESC LIMIT ` + decimal(int64(limit))
	args := append(anys(packages), before)
	if often {
		query = `SELECT e.id FROM examination e WHERE EXISTS (SELECT 1 FROM image_document d
			JOIN document_package dp ON dp.document_id = d.document_id WHERE d.examination_id = e.id AND dp.package_id IN ` + list(len(packages), 0) + `)
			AND e.id < $` + decimal(int64(len(packages)+1)) + ` ORDER BY e.id DESC LIMIT ` + decimal(int64(limit))
	}
	images, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("find who ships the packages: %w", err)
	}
	return images, nil
}

// shippedOften reports whether many of the documents list one of the packages.
func shippedOften(ctx context.Context, tx *transaction, packages []int64) (bool, error) {
	documents, _, err := scanOne[int64](ctx, tx, `SELECT coalesce(max(id), 0) FROM document`)
	if err != nil {
		return false, err
	}
	enough := documents/oftenShare + 1
	n, _, err := scanOne[int64](ctx, tx, `SELECT count(*) FROM (SELECT 1 FROM document_package WHERE package_id IN `+
		list(len(packages), 0)+` LIMIT `+decimal(enough)+`) AS s`, anys(packages)...)
	return n >= enough, err
}

// shippedBy tells which of the packages each image ships.
func shippedBy(ctx context.Context, tx *transaction, examinations, packages []int64, purls map[int64]string) (map[int64][]string, error) {
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r [2]int64, err error) {
		err = rows.Scan(&r[0], &r[1])
		return r, err
	}, `SELECT DISTINCT d.examination_id, dp.package_id FROM image_document d CROSS JOIN document_package dp
		WHERE dp.document_id = d.document_id AND d.examination_id IN `+list(len(examinations), 0)+` AND dp.package_id IN `+list(len(packages), len(examinations)),
		append(anys(examinations), anys(packages)...)...)
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	matches := make(map[int64][]string)
	for _, r := range rows {
		matches[r[0]] = append(matches[r[0]], purls[r[1]])
	}
	for key, names := range matches {
		slices.Sort(names)
		matches[key] = names[:min(len(names), someMatches)]
	}
	return matches, nil
}
