// Package mirror keeps an advisory database up to date with its source. It keeps the
// zip of each feed beside the database, asks the source only for what has changed, and
// makes the database anew, from all feeds, when something did.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/feed"
)

// ErrNoEcosystems says that nobody told which ecosystems there should be.
var ErrNoEcosystems = errors.New("no ecosystem is given, and the database has none")

// Dir is where the zips of a database are kept: <Ecosystem>/all.zip, and state.json.
func Dir(database string) string { return database + ".feeds" }

// Options say what to update.
type Options struct {
	// Database is the file; it need not exist.
	Database string
	// Source must keep its temporary files in [Dir] of Database.
	Source *feed.Client
	// Ecosystems are those to update or to add; empty are those of the database. The
	// database keeps the others.
	Ecosystems []string
	// Force accepts fewer records than the database has.
	Force bool
	Now   func() time.Time
}

// Change is what an update found of one ecosystem.
type Change struct {
	Ecosystem string
	// Modified says that the source has another zip than the one that is kept.
	Modified bool
	// Before is nil when the database did not have the ecosystem.
	Before *advisory.Feed
	After  advisory.Feed
}

// Report is what an update did.
type Report struct {
	Changes []Change
	// Import is nil when the database has everything already and was left alone.
	Import *advisory.Report
	// Built is when the database was made, Digest identifies its data.
	Built  time.Time
	Digest string
}

// update is an [Update] at work.
type update struct {
	Options
	dir       string
	before    database
	kept      kept
	snapshots map[string]*feed.Snapshot // those that are new
}

// Update brings the database up to date. Unless every ecosystem can be had, complete
// and not shrunken, the database and the zips stay as they are; the error tells of all
// that cannot.
func Update(ctx context.Context, options Options) (report Report, err error) {
	u := &update{Options: options, dir: Dir(options.Database), snapshots: make(map[string]*feed.Snapshot)}
	if u.before, err = readDatabase(options.Database); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, u.before.close()) }()
	if len(u.Ecosystems) == 0 {
		u.Ecosystems = u.before.ecosystems()
	}
	if len(u.Ecosystems) == 0 {
		return Report{}, ErrNoEcosystems
	}
	slices.Sort(u.Ecosystems)
	u.Ecosystems = slices.Compact(u.Ecosystems)
	if err := os.MkdirAll(u.dir, 0o755); err != nil { //nolint:gosec // public data
		return Report{}, fmt.Errorf("update: %w", err)
	}
	u.kept = readKept(u.dir, options.Source.Base())
	defer func() {
		for _, s := range u.snapshots {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := u.fetch(ctx); err != nil {
		return Report{}, err
	}
	return u.apply(ctx)
}

// fetch takes the snapshots of what is new.
func (u *update) fetch(ctx context.Context) error {
	var failed []error
	for _, ecosystem := range u.Ecosystems {
		known := u.kept.state(ecosystem)
		known.Records = 0
		if f := u.before.feed(ecosystem); f != nil && !u.Force {
			known.Records = f.Records
		}
		s, err := u.Source.Snapshot(ctx, ecosystem, known)
		switch {
		case err == nil:
			u.snapshots[ecosystem] = s
		case errors.Is(err, feed.ErrNotModified):
			u.kept.synced(ecosystem, u.Now())
		default:
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (u *update) apply(ctx context.Context) (Report, error) {
	current := u.before.db != nil && u.before.db.Digest() == u.kept.Database
	missing := slices.ContainsFunc(u.Ecosystems, func(e string) bool { return u.before.feed(e) == nil })
	if current && !missing && len(u.snapshots) == 0 {
		return u.report(nil, u.before.db.Meta(), u.before.db.Digest(), u.before.db.Built()), u.kept.write(u.dir)
	}
	exported, err := os.MkdirTemp(u.dir, ".export-*")
	if err != nil {
		return Report{}, fmt.Errorf("update: %w", err)
	}
	defer os.RemoveAll(exported) //nolint:errcheck // its content does not matter any more
	zips, err := u.zips(exported, current)
	if err != nil {
		return Report{}, err
	}
	imported, err := advisory.ImportZips(ctx, zips, u.Database, advisory.ImportOptions{Force: u.Force, Now: u.Now})
	if err != nil {
		return Report{}, err
	}
	report := u.report(&imported, imported.Meta, imported.Digest, u.Now())
	return report, u.keep(imported.Digest)
}

// zips returns the files that the database is made of: new ones, those that are kept
// still, and for what is not updated what the database itself has.
func (u *update) zips(exported string, current bool) ([]advisory.Zip, error) {
	var zips []advisory.Zip
	var export []string
	for _, ecosystem := range u.Ecosystems {
		path := zipFile(u.dir, ecosystem)
		if s, ok := u.snapshots[ecosystem]; ok {
			path = s.Path()
		}
		zips = append(zips, advisory.Zip{Ecosystem: ecosystem, Path: path})
	}
	for _, ecosystem := range u.before.ecosystems() {
		if slices.Contains(u.Ecosystems, ecosystem) {
			continue
		}
		path := zipFile(u.dir, ecosystem)
		if !current || !u.kept.has(ecosystem) {
			path = zipFile(exported, ecosystem)
			export = append(export, ecosystem)
		}
		zips = append(zips, advisory.Zip{Ecosystem: ecosystem, Path: path})
	}
	slices.SortFunc(zips, func(a, b advisory.Zip) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	if len(export) == 0 {
		return zips, nil
	}
	return zips, u.before.db.Export(exported, export...)
}

// keep keeps the new zips. The state is written last: a zip that it does not describe
// is fetched again.
func (u *update) keep(digest string) error {
	for ecosystem, s := range u.snapshots {
		file := zipFile(u.dir, ecosystem)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // public data
			return fmt.Errorf("update: %w", err)
		}
		if err := s.Keep(file); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if err := u.kept.set(u.dir, ecosystem, s.Next()); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	u.kept.Database = digest
	return u.kept.write(u.dir)
}

func (u *update) report(imported *advisory.Report, after advisory.Meta, digest string, built time.Time) Report {
	r := Report{Import: imported, Built: built, Digest: digest}
	for _, ecosystem := range u.Ecosystems {
		_, modified := u.snapshots[ecosystem]
		c := Change{Ecosystem: ecosystem, Modified: modified, Before: u.before.feed(ecosystem)}
		if f := feedOf(after, ecosystem); f != nil {
			c.After = *f
		}
		r.Changes = append(r.Changes, c)
	}
	return r
}

// database is what there was; db is nil when there was none.
type database struct{ db *advisory.Database }

func readDatabase(file string) (database, error) {
	db, err := advisory.Open(file)
	if errors.Is(err, advisory.ErrNoDatabase) {
		return database{}, nil
	}
	return database{db}, err
}

func (d database) close() error {
	if d.db == nil {
		return nil
	}
	return d.db.Close()
}

func (d database) ecosystems() []string {
	if d.db == nil {
		return nil
	}
	var names []string
	for _, f := range d.db.Meta().Feeds {
		names = append(names, f.Ecosystem)
	}
	return names
}

func (d database) feed(ecosystem string) *advisory.Feed {
	if d.db == nil {
		return nil
	}
	return feedOf(d.db.Meta(), ecosystem)
}

func feedOf(meta advisory.Meta, ecosystem string) *advisory.Feed {
	if i := slices.IndexFunc(meta.Feeds, func(f advisory.Feed) bool { return f.Ecosystem == ecosystem }); i >= 0 {
		return &meta.Feeds[i]
	}
	return nil
}
