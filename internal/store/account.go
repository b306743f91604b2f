package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Release returns everything that is told of a release at once, or
// [account.ErrNotFound]. A digest without a version tag has no version.
func (s *Store) Release(ctx context.Context, ref account.Ref) (account.Release, error) {
	var r account.Release
	err := s.view(ctx, func(tx *transaction) error {
		standing, err := findStanding(ctx, tx, ref)
		if err != nil {
			return err
		}
		r.Standing = standing
		if err := complete(ctx, tx, []*account.Standing{&r.Standing}, true); err != nil {
			return err
		}
		if err := addTags(ctx, tx, &r); err != nil {
			return fmt.Errorf("read tags: %w", err)
		}
		if err := addLayers(ctx, tx, &r); err != nil {
			return fmt.Errorf("read layers: %w", err)
		}
		if r.Key == 0 {
			return nil
		}
		return addExamined(ctx, tx, &r)
	})
	if err != nil {
		return account.Release{}, fmt.Errorf("read release %s of %s: %w", ref.Name, ref.Repository, err)
	}
	return r, nil
}

// findStanding finds a release by its version, or an image by its digest or that of a
// platform.
func findStanding(ctx context.Context, tx *transaction, ref account.Ref) (account.Standing, error) {
	digest, err := release.ParseDigest(ref.Name)
	if err != nil {
		return one(standings(ctx, tx, `WHERE r.repository = $1 AND r.version = $2`, ref.Repository, ref.Name))
	}
	all, err := standings(ctx, tx, `WHERE r.repository = $1 AND r.digest = $2 ORDER BY r.precedence DESC, r.version DESC LIMIT 1`,
		ref.Repository, string(digest))
	if err != nil || len(all) > 0 {
		return one(all, err)
	}
	// No version names it: what is known of the image alone.
	bare, err := collect(ctx, tx, scanStandings(), `
		SELECT i.repository, '', i.digest, i.first_seen, NULL, i.media_type, i.revision, i.created_at, i.first_seen,
			e.id, e.released_at, e.at, e.build, e.states, NULL
		FROM image i LEFT JOIN examination e ON e.repository = i.repository AND e.digest = i.digest
		WHERE i.repository = $1 AND (i.digest = $2 OR i.digest =
			(SELECT min(p.image_digest) FROM platform p WHERE p.repository = i.repository AND p.digest = $3))
		ORDER BY CASE WHEN i.digest = $4 THEN 0 ELSE 1 END`, ref.Repository, string(digest), string(digest), string(digest))
	return one(bare, err)
}

func one[T any](all []T, err error) (T, error) {
	if err == nil && len(all) > 0 {
		return all[0], nil
	}
	var none T
	return none, cmp.Or(err, account.ErrNotFound)
}

func addTags(ctx context.Context, tx *transaction, r *account.Release) error {
	tags, err := collect(ctx, tx, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT name FROM tag WHERE repository = $1 AND digest = $2 AND gone_at IS NULL ORDER BY name`,
		r.Image.Repository, string(r.Image.Digest))
	if err != nil {
		return err
	}
	for _, name := range tags {
		if release.KindOfTag(name) == release.TagVersion {
			r.Versions = append(r.Versions, name)
		} else {
			r.Tags = append(r.Tags, name)
		}
	}
	slices.SortFunc(r.Versions, func(a, b string) int { return release.CompareVersions(b, a) })
	return nil
}

func addLayers(ctx context.Context, tx *transaction, r *account.Release) error {
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (layers string, err error) {
		err = rows.Scan(&layers)
		return layers, err
	}, `SELECT layers FROM platform WHERE repository = $1 AND image_digest = $2 ORDER BY position`,
		r.Image.Repository, string(r.Image.Digest))
	if err != nil {
		return err
	}
	for i, text := range rows {
		layers, err := fromJSON[[]release.Layer](text)
		if err != nil {
			return err
		}
		r.Layers = append(r.Layers, account.Layers{Platform: r.Image.Platforms[i], Layers: layers})
	}
	return nil
}

func addExamined(ctx context.Context, tx *transaction, r *account.Release) (err error) {
	if r.Pieces, err = readPieces(ctx, tx, r.Key); err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	if err := addHistory(ctx, tx, r); err != nil {
		return err
	}
	if err := addDocuments(ctx, tx, r); err != nil {
		return fmt.Errorf("read documents: %w", err)
	}
	r.Rebuilders = rebuilders(r.Image.Digest, r.Pieces)
	return nil
}

func readPieces(ctx context.Context, tx *transaction, key int64) ([]account.Piece, error) {
	return collect(ctx, tx, func(rows *sql.Rows) (p account.Piece, err error) {
		var since int64
		var known sql.NullInt64
		var papers string
		if err = rows.Scan(&p.Kind, &p.Subject, &p.On, &p.State, &p.Reason, &since, &p.Known, &known, &papers); err != nil {
			return p, err
		}
		p.Since, p.KnownAt = fromMicros(since), fromNullMicros(known)
		p.Papers, err = fromJSON[[]ledger.Paper](papers)
		return p, err
	}, `SELECT kind, subject, place, state, reason, since, known_state, known_at, papers FROM evidence
		WHERE examination_id = $1 ORDER BY position`, key)
}

func addDocuments(ctx context.Context, tx *transaction, r *account.Release) error {
	on := make(map[release.Digest]string)
	for i := range r.Pieces {
		on[r.Pieces[i].Subject] = r.Pieces[i].On
	}
	licences := make(map[string]bool)
	var err error
	r.Documents, err = collect(ctx, tx, func(rows *sql.Rows) (d account.Document, err error) {
		var names string
		if err = rows.Scan(&d.Kind, &d.Subject, &d.Verified, &d.Signer, &d.Uploaded, &d.Digest, &d.Size, &d.Format, &d.Version,
			&d.Packages, &d.Unidentified, &d.Failure, &names); err != nil {
			return d, err
		}
		d.On = on[d.Subject]
		all, err := fromJSON[[]string](names)
		for _, name := range all {
			licences[name] = true
		}
		return d, err
	}, `SELECT i.kind, i.subject, i.verified, i.signer, i.uploaded, d.digest, d.size, d.format, d.version,
			d.packages, d.unidentified, d.failure, d.licences
		FROM image_document i JOIN document d ON d.id = i.document_id
		WHERE i.examination_id = $1 ORDER BY i.kind, i.subject, d.format, d.digest`, r.Key)
	for name := range licences {
		r.Licences = append(r.Licences, name)
	}
	slices.Sort(r.Licences)
	return err
}

// rebuilders are those of [release.Rebuilders], so that the page shows whom the policy
// counts.
func rebuilders(digest release.Digest, pieces []account.Piece) []string {
	signers := make(map[release.Digest][]string)
	for i := range pieces {
		names := signers[pieces[i].Subject]
		for _, p := range pieces[i].Papers {
			if pieces[i].Kind == release.PaperProvenance && p.State == release.StateVerified && p.Signer != "" {
				names = append(names, p.Signer)
			}
		}
		signers[pieces[i].Subject] = names
	}
	return release.Rebuilders(digest, signers)
}

// Document returns a document and its bytes, as they were found, or
// [account.ErrNotFound].
func (s *Store) Document(ctx context.Context, digest release.Digest) (account.Document, []byte, error) {
	type row struct {
		account.Document
		content []byte
	}
	r, err := one(collect(ctx, s.read, func(rows *sql.Rows) (r row, err error) {
		r.Digest = digest
		err = rows.Scan(&r.Size, &r.Format, &r.Version, &r.Packages, &r.Unidentified, &r.Failure, &r.content,
			&r.Kind, &r.Subject, &r.Verified, &r.Signer, &r.Uploaded)
		return r, err
	}, `SELECT d.size, d.format, d.version, d.packages, d.unidentified, d.failure, d.content,
			coalesce(i.kind, ''), coalesce(i.subject, ''), coalesce(i.verified, FALSE), coalesce(i.signer, ''), coalesce(i.uploaded, '')
		FROM document d LEFT JOIN image_document i ON i.document_id = d.id
		WHERE d.digest = $1 ORDER BY i.verified DESC LIMIT 1`, string(digest)))
	var content []byte
	if err == nil {
		content, err = expand(r.content)
	}
	if err != nil {
		return account.Document{}, nil, fmt.Errorf("read document %s: %w", digest, err)
	}
	return r.Document, content, nil
}

// expand decompresses a content. Documents are read one at a time and rarely: a decoder
// that stays would hold its window for ever.
func expand(compressed []byte) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxContent))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	defer decoder.Close()
	content, err := decoder.DecodeAll(compressed, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return content, nil
}
