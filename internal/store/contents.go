package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

const (
	// keptContents bounds the packages of documents that are remembered, in keys: 4 MiB.
	keptContents = 1 << 19
	// keptName is what the names of the documents weigh beside them, in keys.
	keptName = 32
	// keptShipped bounds the purls of what images ship that are remembered, in bytes. They
	// are one text for each image: that takes half the memory, and none to look through
	// when garbage is collected.
	keptShipped = 8 << 20
	// betweenPURLs is in no purl: see storable.
	betweenPURLs = "\x00"
)

// contents are the keys of the packages that documents list together, in the order of their
// names, by the digests of the documents. Whoever looks at a release looks at several pages
// of it, and what documents list does not change.
type contents = remembered[string, []int64]

// listing is the documents of an image, whose key is that of its examination.
type listing struct {
	key       int64
	documents []listed
}

type listed struct {
	key    int64
	digest string
}

// listings reads images, the newest first, with their documents.
func (s *Store) listings(ctx context.Context, tx *transaction, images ...int64) ([]listing, error) {
	type row struct {
		image    int64
		document sql.NullInt64
		digest   sql.NullString
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.image, &r.document, &r.digest)
		return r, err
	}, `SELECT DISTINCT e.id, d.id, d.digest FROM examination e
		LEFT JOIN image_document i ON i.examination_id = e.id LEFT JOIN document d ON d.id = i.document_id
		WHERE e.id `+s.engine.among(1)+` ORDER BY e.id DESC`, s.engine.keys(images))
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

// name is under which what the documents of an image list is remembered; keys are theirs.
func (l *listing) name() (name string, keys []int64) {
	digests := make([]string, 0, len(l.documents))
	for _, d := range l.documents {
		keys, digests = append(keys, d.key), append(digests, d.digest)
	}
	slices.Sort(digests)
	slices.Sort(keys)
	return strings.Join(slices.Compact(digests), " "), slices.Compact(keys)
}

// readContents returns the packages of an image, in the order of their names.
func (s *Store) readContents(ctx context.Context, tx *transaction, image *listing) ([]int64, error) {
	name, keys := image.name()
	if kept, ok := s.contents.get(name); ok {
		return kept, nil
	}
	text, _, err := scanOne[string](ctx, tx, `SELECT `+s.engine.array(`o.id`)+` FROM (SELECT p.id FROM package p WHERE p.id IN
		(SELECT dp.package_id FROM document_package dp WHERE dp.document_id `+s.engine.among(1)+`) ORDER BY p.name, p.purl) AS o`, s.engine.keys(keys))
	if err != nil {
		return nil, err
	}
	packages, err := fromJSON[[]int64](text)
	if err == nil {
		s.contents.put(name, packages)
	}
	return packages, err
}
