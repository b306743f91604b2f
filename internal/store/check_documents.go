package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// lookAtDocuments compares a document with its digest, and what is kept of it with what
// reading it tells.
func (u *Upkeep) lookAtDocuments(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	d, found, err := readDocument(ctx, tx, after.key)
	if err != nil || !found {
		return nil, after, 0, err
	}
	next := cursor{key: d.key}
	if strings.HasPrefix(d.digest, lostPrefix) {
		var flaws []flaw
		if d.counts {
			flaws = append(flaws, flaw{Problem: Problem{
				"document", strings.TrimPrefix(d.digest, lostPrefix), "its content",
				"that it was lost; the next look at the papers of its images brings it",
			}})
		}
		return flaws, next, 1, nil
	}
	content, err := u.decompress(d.content)
	damage := ""
	if err != nil {
		damage = err.Error()
	} else if digest := digestOf(content); digest != d.digest {
		damage = digest
	}
	if damage != "" {
		return []flaw{{
			Problem: Problem{"document", d.digest, "content with this digest", damage},
			heal:    execute(`UPDATE document SET digest = $1 WHERE id = $2`, lostPrefix+d.digest, d.key),
		}}, next, 1, nil
	}
	known := &release.Document{Digest: release.Digest(d.digest), Content: content}
	if d.isSBOM {
		known.SBOM = u.cfg.ReadSBOM(ctx, content)
		if ctx.Err() != nil {
			return nil, after, 0, context.Cause(ctx)
		}
	}
	flaws, err := u.flawsOfDocument(ctx, tx, &d, summarised(known))
	return flaws, next, 1, err
}

// lostPrefix begins what stands for the digest of a document whose content is damaged:
// it is not taken for the document any more, and when its paper is looked at again it is
// stored anew. What it lists counts until then.
const lostPrefix = "lost:"

// writtenDocument is a row of table document.
type writtenDocument struct {
	key     int64
	digest  string
	columns string // shown
	content []byte
	// isSBOM and counts say what images take it for.
	isSBOM, counts bool
}

func readDocument(ctx context.Context, tx *transaction, after int64) (writtenDocument, bool, error) {
	all, err := collect(ctx, tx, func(rows *sql.Rows) (d writtenDocument, err error) {
		var p prepared
		var s release.SBOM
		var packages int
		var size int64
		var licences, ecosystems string
		err = rows.Scan(&d.key, &d.digest, &s.Format, &s.Version, &packages, &s.Unidentified, &licences, &ecosystems,
			&p.unmatchable, &p.whyNot, &s.Failure, &size, &d.content, &d.counts, &d.isSBOM)
		d.isSBOM = d.isSBOM || s.Format != "" || s.Failure != ""
		d.columns = shownDocument(&s, packages, licences, ecosystems, p.unmatchable, p.whyNot, size)
		return d, err
	}, `SELECT id, digest, format, version, packages, unidentified, licences, ecosystems, unmatchable, why_not, failure, size, content,
			EXISTS (SELECT 1 FROM image_document i WHERE i.document_id = d.id),
			EXISTS (SELECT 1 FROM image_document i WHERE i.document_id = d.id AND i.kind = 'sbom')
		FROM document d WHERE id > $1 ORDER BY id LIMIT 1`, after)
	if err != nil || len(all) == 0 {
		return writtenDocument{}, false, err
	}
	return all[0], true, nil
}

func shownDocument(s *release.SBOM, packages int, licences, ecosystems string, unmatchable int, whyNot string, size int64) string {
	return fmt.Sprintf("%s %s of %d bytes, packages %d, unidentified %d, unmatchable %d (%s), failure %q, ecosystems %s, licences %s",
		s.Format, s.Version, size, packages, s.Unidentified, unmatchable, whyNot, s.Failure, ecosystems, licences)
}

func (u *Upkeep) flawsOfDocument(ctx context.Context, tx *transaction, d *writtenDocument, want prepared) ([]flaw, error) {
	licences, ecosystems := jsonText(licencesOf(want.packages)), jsonText(want.ecosystems)
	s := &want.sbom
	size := int64(len(want.Content))
	flaws := differ(nil, "document", d.digest,
		shownDocument(s, len(s.Packages), licences, ecosystems, want.unmatchable, want.whyNot, size), d.columns,
		execute(`UPDATE document SET format = $1, version = $2, packages = $3, unidentified = $4, licences = $5, ecosystems = $6,
			unmatchable = $7, why_not = $8, failure = $9, size = $10 WHERE id = $11`,
			s.Format, s.Version, len(s.Packages), s.Unidentified, licences, ecosystems, want.unmatchable, want.whyNot, s.Failure, size, d.key))
	have := make(map[string]int, len(want.packages))
	if _, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var purl string
		var position int
		err = rows.Scan(&purl, &position)
		have[purl] = position
		return none, err
	}, `SELECT p.purl, dp.position FROM document_package dp JOIN package p ON p.id = dp.package_id WHERE dp.document_id = $1`, d.key); err != nil {
		return nil, err
	}
	expected, found := differenceOfLists(want.packages, have)
	return differ(flaws, "document", d.digest, expected, found, func(ctx context.Context, h *healer) error {
		if _, err := h.tx.ExecContext(ctx, `DELETE FROM document_package WHERE document_id = $1`, d.key); err != nil {
			return err
		}
		fresh, err := u.linkPackages(ctx, h.tx, d.key, want.packages, h.at)
		for purl, key := range fresh {
			h.fresh[purl] = key
		}
		return err
	}), nil
}

// differenceOfLists shows the first package that a document lists otherwise than is
// stored: equal texts when there is none.
func differenceOfLists(want []identified, have map[string]int) (expected, found string) {
	for i := range want {
		p := &want[i]
		position, listed := have[p.PURL]
		delete(have, p.PURL)
		if expected == "" && (!listed || position != p.position) {
			expected, found = fmt.Sprintf("%s at %d", p.PURL, p.position), "none"
			if listed {
				found = fmt.Sprintf("it at %d", position)
			}
		}
	}
	for purl := range have {
		if expected == "" {
			expected, found = "no more packages", purl
		}
	}
	return expected, found
}
