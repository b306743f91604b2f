package store

import (
	"context"
	"database/sql"
	"slices"
)

// keptContents bounds the packages of documents that are remembered, in keys: 4 MiB.
const keptContents = 1 << 19

// contents are the keys of the packages that a document lists, in order. Whoever looks at a
// release looks at several pages of it, and what a document lists does not change.
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

// readContents returns the packages of the documents of images, by the digest of the
// document.
func (s *Store) readContents(ctx context.Context, tx *transaction, images []listing) (map[string][]int64, error) {
	sets := make(map[string][]int64)
	missing := make(map[int64]string)
	for i := range images {
		for _, d := range images[i].documents {
			if kept, ok := s.contents.get(d.digest); ok {
				sets[d.digest] = kept
			} else {
				missing[d.key] = d.digest
			}
		}
	}
	if len(missing) > 0 {
		type row struct{ document, pkg int64 }
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			err = rows.Scan(&r.document, &r.pkg)
			return r, err
		}, `SELECT document_id, package_id FROM document_package WHERE document_id `+s.engine.among(1)+` ORDER BY document_id, package_id`, s.engine.keys(sortedKeys(missing)))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			digest := missing[r.document]
			sets[digest] = append(sets[digest], r.pkg)
		}
	}
	for _, digest := range missing {
		sets[digest] = slices.Clip(sets[digest])
		s.contents.put(digest, sets[digest])
	}
	return sets, nil
}
