package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"
)

const (
	// keptContents bounds what [contents] keep, in keys of packages: 4 MiB.
	keptContents = 1 << 19
	// contentsKept is for how long. What a document lists does not change, but a worker
	// may repair what the store says of it.
	contentsKept = 5 * time.Minute
)

// contents are the packages of documents that were read a short while ago. Searches look
// through the newest images again and again.
type contents struct {
	now func() time.Time

	mu       sync.Mutex
	byDigest map[string]*content
	size     int // keys in all of them
	uses     int
}

// content is what one document lists: the keys of its packages, in order.
type content struct {
	packages []int64
	read     time.Time
	used     int // the higher, the later
}

// listing is the documents of an image, whose key is that of its examination.
type listing struct {
	key       int64
	documents []listed
}

type listed struct {
	key    int64
	digest string
}

// packages are those that the documents of the image list, in order.
func (l *listing) packages(lists map[string][]int64) []int64 {
	if len(l.documents) == 1 {
		return lists[l.documents[0].digest]
	}
	var all []int64
	for _, d := range l.documents {
		all = append(all, lists[d.digest]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// among are those of some packages that the documents of the image list, in order.
func (l *listing) among(packages []int64, lists map[string][]int64) []int64 {
	var all []int64
	for _, d := range l.documents {
		all = append(all, inBoth(packages, lists[d.digest])...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readListings reads the newest images before one, the newest first, with their documents.
func readListings(ctx context.Context, tx *transaction, before int64, limit int) ([]listing, error) {
	return listings(ctx, tx, `(SELECT x.id FROM examination x WHERE x.id < $1 ORDER BY x.id DESC LIMIT `+decimal(int64(limit))+`)`, before)
}

// listings reads images, the newest first, with their documents. from chooses their keys.
func listings(ctx context.Context, tx *transaction, from string, args ...any) ([]listing, error) {
	type row struct {
		image    int64
		document sql.NullInt64
		digest   sql.NullString
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.image, &r.document, &r.digest)
		return r, err
	}, `SELECT DISTINCT e.id, d.id, d.digest FROM `+from+` AS e
		LEFT JOIN image_document i ON i.examination_id = e.id LEFT JOIN document d ON d.id = i.document_id ORDER BY e.id DESC`, args...)
	if err != nil {
		return nil, err
	}
	var all []listing
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].key != r.image {
			all = append(all, listing{key: r.image})
		}
		if last := &all[len(all)-1]; r.document.Valid {
			last.documents = append(last.documents, listed{r.document.Int64, r.digest.String})
		}
	}
	return all, nil
}

// of returns the packages of the documents of images, by the digest of the document.
func (c *contents) of(ctx context.Context, tx *transaction, images []listing) (map[string][]int64, error) {
	sets := make(map[string][]int64)
	missing := make(map[int64]string)
	now := c.now()
	c.mu.Lock()
	for i := range images {
		for _, d := range images[i].documents {
			if kept, ok := c.byDigest[d.digest]; ok && now.Sub(kept.read) < contentsKept {
				c.uses++
				kept.used = c.uses
				sets[d.digest] = kept.packages
			} else {
				missing[d.key] = d.digest
			}
		}
	}
	c.mu.Unlock()
	for keys := range slices.Chunk(sortedKeys(missing), batch) {
		type row struct{ document, pkg int64 }
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			err = rows.Scan(&r.document, &r.pkg)
			return r, err
		}, `SELECT document_id, package_id FROM document_package WHERE document_id IN `+list(len(keys), 0)+` ORDER BY document_id, package_id`, anys(keys)...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			digest := missing[r.document]
			sets[digest] = append(sets[digest], r.pkg)
		}
	}
	c.keep(missing, sets, now)
	return sets, nil
}

// keep takes in what was read, and forgets what was not used for longest.
func (c *contents) keep(read map[int64]string, sets map[string][]int64, now time.Time) {
	if len(read) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, digest := range read {
		if old, ok := c.byDigest[digest]; ok {
			c.size -= len(old.packages)
		}
		c.uses++
		c.byDigest[digest] = &content{packages: slices.Clip(sets[digest]), read: now, used: c.uses}
		c.size += len(sets[digest])
	}
	if c.size <= keptContents {
		return
	}
	digests := make([]string, 0, len(c.byDigest))
	for digest := range c.byDigest {
		digests = append(digests, digest)
	}
	slices.SortFunc(digests, func(a, b string) int { return cmp.Compare(c.byDigest[a].used, c.byDigest[b].used) })
	for _, digest := range digests {
		if c.size <= keptContents*3/4 {
			return
		}
		c.size -= len(c.byDigest[digest].packages)
		delete(c.byDigest, digest)
	}
}

// inBoth returns what two lists have in common, of which both are in order and the first
// is short.
func inBoth(few, many []int64) []int64 {
	var both []int64
	for _, key := range few {
		at, found := slices.BinarySearch(many, key)
		if found {
			both = append(both, key)
		}
		many = many[at:]
	}
	return both
}
