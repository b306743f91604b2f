package tally

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// Dossiers says how dossiers are made.
type Dossiers struct {
	// Source is where images and papers lie; nil when dossiers are not made.
	Source dossier.Source
	// Trust is what papers are verified with. It goes into each dossier.
	Trust evidence.Trust
	Tool  dossier.Tool
	// Dir is where files are made; that of the system when empty.
	Dir string
}

// Binder is where it keeps the dossiers that people ask for.
type Binder interface {
	// AskedDossier returns the dossier of an image that is to be made, and false when none
	// is.
	AskedDossier(ctx context.Context, repository string, digest release.Digest) (d ledger.Dossier, asked bool, err error)
	// KeepDossierPart keeps a part of a file, counted from 0.
	KeepDossierPart(ctx context.Context, id int64, number int, content []byte) error
	// EndDossier writes down what was made or, with a nil file, why it was not.
	EndDossier(ctx context.Context, id int64, file *ledger.DossierFile, failure string) error
	// ForgetDossiers removes those that expired, and returns how many.
	ForgetDossiers(ctx context.Context) (int, error)
}

// dossierPart is how many bytes of a file are kept, and read, at once.
const dossierPart = 256 << 10

// FinalError says that something was given up, which is written down: whoever asked for it
// has to ask again.
type FinalError struct{ Err error }

func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap is what happened.
func (e *FinalError) Unwrap() error { return e.Err }

// Dossier makes the dossier of the papers of an image that somebody asked for, and keeps
// it for them. When nobody did, or it is made already, it does nothing. What cannot be made
// is given up with a reason, as a *[FinalError].
func (t *Tally) Dossier(ctx context.Context, repository string, digest release.Digest) error {
	fail := func(err error) error { return fmt.Errorf("dossier of %s@%s: %w", repository, digest, err) }
	asked, found, err := t.cfg.Ledger.AskedDossier(ctx, repository, digest)
	if err != nil {
		return fail(err)
	}
	if !found {
		return nil
	}
	told := t.follow(ctx, release.StepDossier, repository+"@"+string(digest), "find papers", 0)
	file, err := t.bind(ctx, repository, digest, asked, told)
	if err == nil {
		err = t.cfg.Ledger.EndDossier(ctx, asked.ID, &file, "")
	}
	if err == nil {
		told.end(ctx, fmt.Sprintf("%d bytes", file.Size), nil)
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fail(err) // stopped: the next worker begins anew
	}
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if ended := t.cfg.Ledger.EndDossier(endCtx, asked.ID, nil, err.Error()); ended != nil {
		return fail(errors.Join(err, ended))
	}
	told.end(ctx, "", err)
	return &FinalError{fail(err)}
}

// bind makes the file of a dossier, and keeps it part by part.
func (t *Tally) bind(ctx context.Context, repository string, digest release.Digest, asked ledger.Dossier, told *telling) (file ledger.DossierFile, err error) {
	if !slices.Contains(t.cfg.Repositories, repository) {
		return file, ErrNotConfigured
	}
	d := &t.cfg.Dossiers
	if d.Source == nil {
		return file, errors.New("this worker makes no dossiers")
	}
	advisories, err := t.advisoryData(ctx)
	if err != nil {
		return file, err
	}
	// A process that died leaves its folder, which has the same name the next time.
	dir := filepath.Join(cmp.Or(d.Dir, os.TempDir()), ".tallyman-dossier-"+digest.Short())
	if err := os.RemoveAll(dir); err != nil {
		return file, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return file, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "papers.dossier")
	created, err := dossier.Create(ctx, path, itemsOf(d.Source, repository, digest, asked.Versions), dossier.Options{
		PapersOnly: true, At: t.now(), Tool: d.Tool, Trust: d.Trust, Advisories: advisories, Most: account.DossierMost, Wait: retry.Sleep,
		Progress: func(what string, done, total int64) { told.at(ctx, what, done, total) },
	})
	if err != nil {
		return file, err
	}
	file.Digest = created.Digest
	return file, t.keep(ctx, asked.ID, path, &file, told)
}

// itemsOf is the image once for each version.
func itemsOf(source dossier.Source, repository string, digest release.Digest, versions []string) []dossier.Item {
	item := dossier.Item{Source: source, Repository: repository, Digest: digest}
	if len(versions) == 0 {
		return []dossier.Item{item}
	}
	items := make([]dossier.Item, 0, len(versions))
	for _, version := range versions {
		item.Tag = version
		items = append(items, item)
	}
	return items
}

// keep hands the file to the ledger, and says how large it is and what its hash is.
func (t *Tally) keep(ctx context.Context, id int64, path string, kept *ledger.DossierFile, told *telling) (err error) {
	file, err := os.Open(path) //nolint:gosec // G304: made above
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > account.DossierMost {
		return fmt.Errorf("file: expected at most %d bytes, found %d", account.DossierMost, info.Size())
	}
	sum, part := sha256.New(), make([]byte, dossierPart)
	for number := 0; ; number++ {
		n, err := io.ReadFull(file, part)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		sum.Write(part[:n])
		if err := t.cfg.Ledger.KeepDossierPart(ctx, id, number, part[:n]); err != nil {
			return err
		}
		kept.Size += int64(n)
		told.at(ctx, "keep", kept.Size, info.Size())
	}
	kept.File = release.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	return nil
}

// advisoryData names the advisories that are known now; nil when there are none.
func (t *Tally) advisoryData(ctx context.Context) (*dossier.Advisories, error) {
	feeds, err := t.cfg.Ledger.Feeds(ctx)
	if err != nil || len(feeds) == 0 {
		return nil, err
	}
	slices.SortFunc(feeds, func(a, b ledger.Feed) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	var named dossier.Advisories
	var newest time.Time
	sum := sha256.New()
	for i := range feeds {
		f := &feeds[i]
		known, err := t.cfg.Ledger.KnownDigests(ctx, f.Ecosystem)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(known)) {
			sum.Write([]byte(f.Ecosystem + "\t" + name + "\t" + known[name] + "\n"))
		}
		named.Records += len(known)
		if i == 0 || f.SyncedAt.Before(named.Imported) {
			named.Imported = f.SyncedAt.UTC().Truncate(time.Second)
		}
		if f.Newest.After(newest) {
			newest = f.Newest.UTC().Truncate(time.Second)
		}
	}
	named.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if !newest.IsZero() {
		age := int64(t.now().Sub(newest) / time.Second)
		named.Newest, named.AgeSeconds = &newest, &age
	}
	return &named, nil
}
