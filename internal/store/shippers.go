package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/tallyman-io/tallyman/internal/account"
)

// someMatches bounds what a hit names.
const someMatches = 5

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
	way := wayOf(p.Oldest)
	from, err := readPlace(p.After, way)
	if err != nil {
		return found, err
	}
	shippers, err := s.shippers(ctx, tx, keysOf(packages), way, from, limit+1)
	if err != nil || len(shippers) == 0 {
		return found, err
	}
	if len(shippers) > limit {
		shippers = shippers[:limit]
		found.Next = bookmark(way.list("shippers"), decimal(shippers[limit-1].document), decimal(shippers[limit-1].image))
	}
	found.Total = -1
	images := make([]int64, len(shippers))
	of := make(map[int64]*shipper, len(shippers))
	for i := range shippers {
		images[i], of[shippers[i].image] = shippers[i].image, &shippers[i]
	}
	// SQLite takes the tables of a CROSS JOIN in this order.
	all, err := collect(ctx, tx, scanStandings(), standingColumns+` FROM examination e CROSS JOIN release r CROSS JOIN image i
		WHERE e.id `+s.engine.among(1)+` AND r.repository = e.repository AND r.digest = e.digest AND i.repository = e.repository AND i.digest = e.digest
		`+way.sql(`ORDER BY r.precedence DESC, r.version DESC`), s.engine.keys(images))
	if err != nil {
		return found, fmt.Errorf("read releases: %w", err)
	}
	// Not slices.SortStableFunc: it is code anew for each type.
	sort.SliceStable(all, func(i, j int) bool { return way.compare(of[all[i].Key].compare(of[all[j].Key].place)) < 0 })
	if err := complete(ctx, tx, pointers(all), false); err != nil {
		return found, err
	}
	purls := make(map[int64]string, len(packages))
	for i := range packages {
		purls[packages[i].key] = packages[i].purl
	}
	for i := range all {
		found.Items = append(found.Items, account.Hit{Standing: all[i], Matches: someOf(of[all[i].Key].packages, purls)})
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

// place is that of an image among those who ship a package, by the document of its own
// that was read last: behind those that were read later, and, with one that several images
// have, behind newer images. An image that gets another document comes first again, be it
// old; and it is on no page, if that happens between the pages before its old place and
// behind its new one.
type place struct{ document, image int64 }

// placed is an image at its place, and whether it has other documents.
type placed struct {
	place

	several bool
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.document, q.document), cmp.Compare(p.image, q.image))
}

// readPlace reads the bookmark of the last of a page.
func readPlace(after string, way way) (place, error) {
	at, err := readNumbers(after, way.list("shippers"), 2)
	if err != nil || len(at) == 0 {
		return way.start(), err
	}
	return place{at[0], at[1]}, nil
}

// start is before all places.
func (w way) start() place {
	if w != "" {
		return place{-1, -1}
	}
	return place{math.MaxInt64, math.MaxInt64}
}

// past is behind the places of all that have one of the documents.
func (w way) past(documents map[int64][]int64) place {
	keys := sortedKeys(documents)
	if w != "" {
		return place{keys[len(keys)-1] + 1, -1}
	}
	return place{keys[0] - 1, math.MaxInt64}
}

// shipper is an image that ships packages, by its key and theirs.
type shipper struct {
	placed

	packages []int64
}

// shippers returns the images behind a place that ship one of the packages. The packages
// are in order.
func (s *Store) shippers(ctx context.Context, tx *transaction, packages []int64, way way, from place, limit int) ([]shipper, error) {
	all, err := s.findShippers(ctx, tx, packages, way, from, limit)
	if err == nil {
		err = s.addOthers(ctx, tx, packages, all)
	}
	if err != nil {
		return nil, fmt.Errorf("find who ships the packages: %w", err)
	}
	return all, nil
}

// addOthers adds what the other documents list of the packages, where an image has several.
func (s *Store) addOthers(ctx context.Context, tx *transaction, packages []int64, shippers []shipper) error {
	of := make(map[int64]*shipper)
	for i := range shippers {
		if sh := &shippers[i]; sh.several {
			of[sh.image] = sh
		}
	}
	if len(of) == 0 {
		return nil
	}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var image, pkg int64
		if err := rows.Scan(&image, &pkg); err != nil {
			return struct{}{}, err
		}
		if sh := of[image]; !slices.Contains(sh.packages, pkg) {
			sh.packages = append(sh.packages, pkg)
		}
		return struct{}{}, nil
	}, `SELECT DISTINCT d.examination_id, dp.package_id FROM image_document d CROSS JOIN document_package dp
		WHERE d.examination_id `+s.engine.among(1)+` AND dp.document_id = d.document_id AND dp.package_id `+s.engine.among(2),
		s.engine.keys(sortedKeys(of)), s.engine.keys(packages))
	for _, sh := range of {
		slices.Sort(sh.packages)
	}
	return err
}

func (s *Store) findShippers(ctx context.Context, tx *transaction, packages []int64, way way, from place, limit int) ([]shipper, error) {
	var all []shipper
	first, seen := from, make(map[int64]bool)
	for most := limit; ; {
		entries, err := s.engine.entries(ctx, tx, packages, way, from.document, most)
		if err != nil {
			return nil, err
		}
		documents := nextDocuments(entries, way, most)
		if len(documents) == 0 {
			return all, nil
		}
		places, err := placesOf(ctx, tx, documents, way, from, 2*most)
		if err != nil {
			return nil, err
		}
		latest, err := s.latestOf(ctx, tx, places, packages, way, first)
		if err != nil {
			return nil, err
		}
		for _, at := range places {
			if from = at.place; seen[at.image] || latest[at.image] > at.document {
				continue
			}
			seen[at.image] = true
			if all = append(all, shipper{at, slices.Clip(documents[at.document])}); len(all) == limit {
				return all, nil
			}
		}
		if len(places) < 2*most { // of these documents there is no more
			from = way.past(documents)
		}
		if len(places) == 0 { // documents that no image has any more, of which there may be many
			most = min(2*most, batch)
		}
	}
}

// entry is one of a document: a package that it lists.
type entry struct{ document, pkg int64 }

func scanEntry(rows *sql.Rows) (e entry, err error) {
	err = rows.Scan(&e.document, &e.pkg)
	return e, err
}

// nextDocuments are those that come first, with all that they list of the packages. Of each
// package there are that many entries, if it has so many.
func nextDocuments(entries []entry, way way, most int) map[int64][]int64 {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(way.compare(cmp.Compare(a.document, b.document)), cmp.Compare(a.pkg, b.pkg))
	})
	documents := make(map[int64][]int64, most)
	for _, e := range entries {
		if _, ok := documents[e.document]; !ok && len(documents) == most {
			break
		}
		documents[e.document] = append(documents[e.document], e.pkg)
	}
	return documents
}

// placesOf reads who has the documents, behind a place.
func placesOf(ctx context.Context, tx *transaction, documents map[int64][]int64, way way, from place, most int) ([]placed, error) {
	keys := sortedKeys(documents)
	return collect(ctx, tx, func(rows *sql.Rows) (p placed, err error) {
		err = rows.Scan(&p.document, &p.image, &p.several)
		return p, err
	}, `SELECT DISTINCT d.document_id, d.examination_id,
			EXISTS (SELECT 1 FROM image_document o WHERE o.examination_id = d.examination_id AND o.document_id <> d.document_id)
		FROM image_document d WHERE d.document_id IN `+list(len(keys), 0)+
		way.sql(` AND (d.document_id, d.examination_id) < `+list(2, len(keys))+` ORDER BY 1 DESC, 2 DESC LIMIT `)+decimal(int64(most)),
		append(anys(keys), from.document, from.image)...)
}

// latestOf has the document by which an image of the places has its place, where it may
// not be that of the one that was found.
func (s *Store) latestOf(ctx context.Context, tx *transaction, places []placed, packages []int64, way way, first place) (map[int64]int64, error) {
	if way == "" { // what puts it before this page is enough: on it, the first counts
		return shippedBefore(ctx, tx, places, packages, first)
	}
	latest := make(map[int64]int64)
	for _, at := range places {
		if at.several {
			latest[at.image] = 0
		}
	}
	if len(latest) == 0 {
		return latest, nil
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var image, document int64
		err := rows.Scan(&image, &document)
		latest[image] = document
		return err
	}, `SELECT d.examination_id, max(d.document_id) FROM image_document d CROSS JOIN document_package dp
		WHERE d.examination_id `+s.engine.among(1)+` AND dp.document_id = d.document_id AND dp.package_id `+s.engine.among(2)+` GROUP BY d.examination_id`,
		[]any{s.engine.keys(sortedKeys(latest)), s.engine.keys(packages)})
	return latest, err
}

// shippedBefore are those of the places whose image another document puts before a place,
// or at it: they have been found already, by the highest of documents.
func shippedBefore(ctx context.Context, tx *transaction, places []placed, packages []int64, at place) (map[int64]int64, error) {
	found := make(map[int64]int64)
	if len(places) == 0 || at.document == math.MaxInt64 {
		return found, nil
	}
	images := make([]int64, len(places))
	for i := range places {
		images[i] = places[i].image
	}
	slices.Sort(images)
	images = slices.Compact(images)
	args := append(append(anys(images), at.document, at.image), anys(packages)...)
	keys, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, `SELECT DISTINCT d.examination_id FROM image_document d CROSS JOIN document_package dp
		WHERE d.examination_id IN `+list(len(images), 0)+` AND (d.document_id, d.examination_id) >= `+list(2, len(images))+`
		AND dp.document_id = d.document_id AND dp.package_id IN `+list(len(packages), len(images)+2), args...)
	for _, key := range keys {
		found[key] = math.MaxInt64
	}
	return found, err
}
