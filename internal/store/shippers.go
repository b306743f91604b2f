package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/tallyman-io/tallyman/internal/account"
)

const (
	// oftenShare is the share of all documents, as one in so many, that makes a package one
	// that is shipped often: the newest images are looked through then, and the first of
	// them have it. Others are looked for from the package on.
	oftenShare = 8
	// someMatches bounds what a hit names.
	someMatches = 5
)

// searchPackages finds the releases that ship one of the packages.
func (s *Store) searchPackages(ctx context.Context, tx *transaction, packages []namedPackage, p account.Page) (account.Found, error) {
	if len(packages) == 0 {
		return account.Found{Kind: account.SearchPackage}, nil
	}
	if len(packages) > batch {
		packages = packages[len(packages)-batch:] // the newest
	}
	found := account.Found{Kind: account.SearchPackage}
	limit := limitOf(p)
	shippers, err := s.shippers(ctx, tx, keysOf(packages), p.After, limit+1)
	if err != nil || len(shippers) == 0 {
		return found, err
	}
	if len(shippers) > limit {
		shippers = shippers[:limit]
		found.Next = bookmark("shippers", decimal(shippers[limit-1].image))
	}
	found.Total = -1
	images := make([]int64, len(shippers))
	matches := make(map[int64][]int64, len(shippers))
	for i, s := range shippers {
		images[i], matches[s.image] = s.image, s.packages
	}
	all, err := standings(ctx, tx, `WHERE (r.repository, r.digest) IN
		(SELECT x.repository, x.digest FROM examination x WHERE x.id IN `+list(len(images), 0)+`) ORDER BY e.id DESC, r.precedence DESC, r.version DESC`, anys(images)...)
	if err != nil {
		return found, err
	}
	if err := complete(ctx, tx, pointers(all), false); err != nil {
		return found, err
	}
	purls := make(map[int64]string, len(packages))
	for i := range packages {
		purls[packages[i].key] = packages[i].purl
	}
	for i := range all {
		found.Items = append(found.Items, account.Hit{Standing: all[i], Matches: someOf(matches[all[i].Key], purls)})
	}
	return found, nil
}

func keysOf(packages []namedPackage) []int64 {
	keys := make([]int64, len(packages))
	for i := range packages {
		keys[i] = packages[i].key
	}
	slices.Sort(keys)
	return keys
}

// someOf are the first of the purls of packages.
func someOf(packages []int64, purls map[int64]string) []string {
	names := make([]string, len(packages))
	for i, key := range packages {
		names[i] = purls[key]
	}
	slices.Sort(names)
	return names[:min(len(names), someMatches)]
}

// shipper is an image that ships packages, by its key and theirs.
type shipper struct {
	image    int64
	packages []int64
}

// shippers returns the images that ship one of the packages, those first that were
// looked at last. The packages are in order.
func (s *Store) shippers(ctx context.Context, tx *transaction, packages []int64, after string, limit int) ([]shipper, error) {
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
	var all []shipper
	enough := false
	if often {
		all, enough, err = s.newestShippers(ctx, tx, packages, before, limit)
	}
	if !enough && err == nil {
		all, err = rareShippers(ctx, tx, packages, before, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("find who ships the packages: %w", err)
	}
	return all, nil
}

// rareShippers goes from the packages to those who ship them.
func rareShippers(ctx context.Context, tx *transaction, packages []int64, before int64, limit int) ([]shipper, error) {
	// SQLite takes the tables of a CROSS JOIN in this order: from the packages, not from
	// the images.
	images, err := collect(ctx, tx, func(rows *sql.Rows) (s shipper, err error) {
		err = rows.Scan(&s.image)
		return s, err
	}, `SELECT DISTINCT s.id FROM (
			SELECT d.examination_id AS id FROM document_package dp CROSS JOIN image_document d
			WHERE d.document_id = dp.document_id AND dp.package_id IN `+list(len(packages), 0)+`) AS s
		WHERE s.id < $`+decimal(int64(len(packages)+1))+` ORDER BY 1 DESC LIMIT `+decimal(int64(limit)), append(anys(packages), before)...)
	if err != nil || len(images) == 0 {
		return nil, err
	}
	at := make(map[int64]*shipper, len(images))
	for i := range images {
		at[images[i].image] = &images[i]
	}
	_, err = collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var image, key int64
		if err := rows.Scan(&image, &key); err != nil {
			return struct{}{}, err
		}
		at[image].packages = append(at[image].packages, key)
		return struct{}{}, nil
	}, `SELECT DISTINCT d.examination_id, dp.package_id FROM image_document d CROSS JOIN document_package dp
		WHERE dp.document_id = d.document_id AND d.examination_id IN `+list(len(images), 0)+` AND dp.package_id IN `+list(len(packages), len(images)),
		append(anys(sortedKeys(at)), anys(packages)...)...)
	return images, err
}

// newestShippers looks through the newest images, which many a package is in, and reports
// whether they are enough. Where the packages are those of old images, looking on would
// take longer than to go from the packages.
func (s *Store) newestShippers(ctx context.Context, tx *transaction, packages []int64, before int64, limit int) ([]shipper, bool, error) {
	const part, parts = 64, 4
	var found []shipper
	for range parts {
		images, err := readListings(ctx, tx, before, part)
		if err != nil {
			return nil, false, err
		}
		lists, err := s.contents.of(ctx, tx, images)
		if err != nil {
			return nil, false, err
		}
		for i := range images {
			if shipped := images[i].among(packages, lists); len(shipped) > 0 {
				found = append(found, shipper{images[i].key, shipped})
			}
			if len(found) == limit {
				return found, true, nil
			}
			before = images[i].key
		}
		if len(images) < part {
			return found, true, nil
		}
		if len(found) == 0 {
			break
		}
	}
	return nil, false, nil
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
