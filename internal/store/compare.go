package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Compare returns what differs between two releases, which may be of two repositories,
// or [account.ErrNotFound].
func (s *Store) Compare(ctx context.Context, from, to account.Ref) (account.Comparison, error) {
	var c account.Comparison
	err := s.view(ctx, func(tx *transaction) (err error) {
		if c.From, c.To, err = findSides(ctx, tx, from, to); err != nil {
			return err
		}
		if err := complete(ctx, tx, []*account.Standing{&c.From, &c.To}, true); err != nil {
			return err
		}
		c.Sizes = account.CompareSizes(c.From.Image.Platforms, c.To.Image.Platforms)
		if err := s.comparePackages(ctx, tx, &c); err != nil {
			return fmt.Errorf("compare packages: %w", err)
		}
		if err := s.compareFindings(ctx, tx, &c); err != nil {
			return fmt.Errorf("compare findings: %w", err)
		}
		return compareSigners(ctx, tx, &c)
	})
	if err != nil {
		return account.Comparison{}, fmt.Errorf("compare: %w", err)
	}
	return c, nil
}

// findSides finds the two releases that are compared.
func findSides(ctx context.Context, tx *transaction, from, to account.Ref) (one, other account.Standing, err error) {
	if from != to { // both at once, where they are named by version
		both, err := readKeys(ctx, tx, []releaseKey{{from.Repository, from.Name}, {to.Repository, to.Name}})
		if err != nil {
			return one, other, err
		}
		if len(both) == 2 {
			return both[0], both[1], nil
		}
	}
	for _, side := range []struct {
		ref      account.Ref
		standing *account.Standing
	}{{from, &one}, {to, &other}} {
		if *side.standing, err = findStanding(ctx, tx, side.ref); err != nil {
			return one, other, fmt.Errorf("release %s of %s: %w", side.ref.Name, side.ref.Repository, err)
		}
	}
	return one, other, nil
}

// shipment is what an image ships: the versions of each package, by its purl without
// one.
type shipment struct {
	versions map[string][]string
	licences map[string]bool
	// unknown is why it is not known. Empty when it is.
	unknown string
	image   listing
}

// readLicences reads the licences of what two images ship, or why that is not known, and
// with which documents they ship it.
func readLicences(ctx context.Context, tx *transaction, from, to *account.Standing) (sides [2]shipment, err error) {
	type document struct {
		image int64
		kind  release.PaperKind
		listed
		failure, licences string
	}
	documents, err := collect(ctx, tx, func(rows *sql.Rows) (d document, err error) {
		err = rows.Scan(&d.image, &d.kind, &d.key, &d.digest, &d.failure, &d.licences)
		return d, err
	}, `SELECT i.examination_id, i.kind, d.id, d.digest, d.failure, d.licences FROM image_document i JOIN document d ON d.id = i.document_id
		WHERE i.examination_id IN ($1, $2)`, from.Key, to.Key)
	if err != nil {
		return sides, err
	}
	for i, s := range []*account.Standing{from, to} {
		sh := &sides[i]
		*sh = shipment{versions: make(map[string][]string), licences: make(map[string]bool), image: listing{key: s.Key}}
		sh.unknown = fmt.Sprintf("%s has no SBOM to read its packages from", name(s))
		for _, d := range documents {
			if d.image != s.Key {
				continue
			}
			sh.image.documents = append(sh.image.documents, d.listed)
			if d.kind != release.PaperSBOM {
				continue
			}
			if d.failure != "" {
				sh.unknown = fmt.Sprintf("an SBOM of %s cannot be read: %s", name(s), d.failure)
				break
			}
			sh.unknown = ""
			licences, err := fromJSON[[]string](d.licences)
			if err != nil {
				return sides, err
			}
			for _, l := range licences {
				sh.licences[l] = true
			}
		}
	}
	return sides, nil
}

func (sh *shipment) add(base, version string) {
	if !slices.Contains(sh.versions[base], version) {
		sh.versions[base] = append(sh.versions[base], version)
	}
}

// readShipments reads what images ship, at once: they may have most of it in common.
func (s *Store) readShipments(ctx context.Context, tx *transaction, ships ...*shipment) error {
	by := make(map[int64][]*shipment) // by package
	for _, sh := range ships {
		packages, err := s.readContents(ctx, tx, &sh.image)
		if err != nil {
			return err
		}
		for _, key := range packages {
			by[key] = append(by[key], sh)
		}
	}
	packages, purls, err := s.readPURLs(ctx, tx, sortedKeys(by))
	if err != nil {
		return err
	}
	for i, key := range packages {
		base, version := account.SplitPURL(purls[i])
		for _, sh := range by[key] {
			sh.add(base, version)
		}
	}
	for _, sh := range ships {
		for _, versions := range sh.versions {
			slices.Sort(versions)
		}
	}
	return nil
}

// readPURLs reads the purls of packages, and the keys of those that are there. They come as
// texts: hundreds of rows take longer to hand over than to find.
func (s *Store) readPURLs(ctx context.Context, tx *transaction, packages []int64) (keys []int64, purls []string, err error) {
	type texts struct{ keys, purls string }
	all, err := one(collect(ctx, tx, func(rows *sql.Rows) (t texts, err error) {
		err = rows.Scan(&t.keys, &t.purls)
		return t, err
	}, `SELECT `+s.engine.array(`p.id`)+`, `+s.engine.array(`p.purl`)+` FROM (SELECT id, purl FROM package WHERE id `+s.engine.among(1)+`) AS p`, s.engine.keys(packages)))
	if err != nil {
		return nil, nil, err
	}
	if keys, err = fromJSON[[]int64](all.keys); err != nil {
		return nil, nil, err
	}
	if strings.ContainsRune(all.purls, '\\') {
		purls, err = fromJSON[[]string](all.purls)
	} else {
		// Without an escape, what stands between two quotation marks is a purl.
		parts := strings.Split(all.purls, `"`)
		for i := 1; i < len(parts); i += 2 {
			purls = append(purls, parts[i])
		}
	}
	if err == nil && len(keys) != len(purls) {
		err = fmt.Errorf("read purls: expected one for each of %d packages, found %d", len(keys), len(purls))
	}
	return keys, purls, err
}

func name(s *account.Standing) string { return cmp.Or(s.Version, string(s.Image.Digest)) }

func (s *Store) comparePackages(ctx context.Context, tx *transaction, c *account.Comparison) error {
	sides, err := readLicences(ctx, tx, &c.From, &c.To)
	if err != nil {
		return err
	}
	from, to, p := &sides[0], &sides[1], &c.Packages
	if p.Unknown = cmp.Or(from.unknown, to.unknown); p.Unknown != "" {
		return nil
	}
	if err := s.readShipments(ctx, tx, from, to); err != nil {
		return err
	}
	*p = account.ComparePackages(from.versions, to.versions, account.MostItems)
	c.LicencesGone, c.LicencesNew = account.OnlyIn(from.licences, to.licences), account.OnlyIn(to.licences, from.licences)
	return nil
}

// compareFindings compares what stands by vulnerability and package, whatever the
// version of the package.
func (s *Store) compareFindings(ctx context.Context, tx *transaction, c *account.Comparison) error {
	if c.From.Key == 0 || c.To.Key == 0 {
		return nil
	}
	all, err := s.readFindingsOfTwo(ctx, tx, c.From.Key, c.To.Key, map[int64]time.Time{c.From.Key: c.From.ReleasedAt, c.To.Key: c.To.ReleasedAt})
	if err != nil {
		return err
	}
	var names [2]map[[2]string]bool
	for i := range all {
		all[i] = slices.DeleteFunc(all[i], func(f account.Finding) bool { return f.Occurrence == account.Gone })
		names[i] = make(map[[2]string]bool, len(all[i]))
		for j := range all[i] {
			names[i][findingName(&all[i][j])] = true
		}
	}
	had, before, has, after := all[0], names[0], all[1], names[1]
	c.Fixed = slices.DeleteFunc(had, func(f account.Finding) bool { return after[findingName(&f)] })
	for i := range has {
		if before[findingName(&has[i])] {
			c.Common++
		} else {
			c.Introduced = append(c.Introduced, has[i])
		}
	}
	sortFindings(c.Fixed, "")
	sortFindings(c.Introduced, "")
	return nil
}

func findingName(f *account.Finding) [2]string {
	base, _ := account.SplitPURL(f.PURL)
	return [2]string{f.ID, base}
}

// compareSigners reads who made the verified signatures.
func compareSigners(ctx context.Context, tx *transaction, c *account.Comparison) error {
	type piece struct {
		image  int64
		papers string
	}
	pieces, err := collect(ctx, tx, func(rows *sql.Rows) (p piece, err error) {
		err = rows.Scan(&p.image, &p.papers)
		return p, err
	}, `SELECT examination_id, papers FROM evidence WHERE examination_id IN ($1, $2) AND kind = $3 ORDER BY examination_id, position`,
		c.From.Key, c.To.Key, string(release.PaperSignature))
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for i := range pieces {
		papers, err := fromJSON[[]ledger.Paper](pieces[i].papers)
		if err != nil {
			return fmt.Errorf("read evidence: %w", err)
		}
		for j := range papers {
			p := &papers[j]
			if p.State != release.StateVerified || p.Signer == "" {
				continue
			}
			if pieces[i].image == c.From.Key && !slices.Contains(c.FromSigners, p.Signer) {
				c.FromSigners = append(c.FromSigners, p.Signer)
			}
			if pieces[i].image == c.To.Key && !slices.Contains(c.ToSigners, p.Signer) {
				c.ToSigners = append(c.ToSigners, p.Signer)
			}
		}
	}
	slices.Sort(c.FromSigners)
	slices.Sort(c.ToSigners)
	return nil
}
