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
func (s *Store) Compare(ctx context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error) {
	var c account.Comparison
	err := s.view(ctx, func(tx *transaction) (err error) {
		if err := byName(&pages); err != nil {
			return err
		}
		if c.From, c.To, err = findSides(ctx, tx, from, to); err != nil {
			return err
		}
		if err := complete(ctx, tx, []*account.Standing{&c.From, &c.To}, true); err != nil {
			return err
		}
		c.Sizes = account.CompareSizes(c.From.Image.Platforms, c.To.Image.Platforms)
		if err := s.comparePackages(ctx, tx, &c, pages); err != nil {
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

// shipment is what an image ships.
type shipment struct {
	packages account.Shipped
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
		*sh = shipment{licences: make(map[string]bool), image: listing{key: s.Key}}
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

// readShipped reads the packages that an image ships, whatever documents list them.
func (s *Store) readShipped(ctx context.Context, tx *transaction, image *listing) (account.Shipped, error) {
	name, _ := image.name()
	if kept, ok := s.shipped.get(name); ok {
		return account.NewShipped(strings.Split(kept, betweenPURLs)), nil
	}
	packages, err := s.readContents(ctx, tx, image)
	if err != nil {
		return nil, err
	}
	// As one text: hundreds of rows take longer to hand over than to find.
	text, _, err := scanOne[string](ctx, tx, `SELECT `+s.engine.array(`p.purl`)+` FROM package p WHERE p.id `+s.engine.among(1), s.engine.keys(packages))
	if err != nil {
		return nil, err
	}
	purls, err := fromJSON[[]string](text)
	if err != nil {
		return nil, err
	}
	slices.Sort(purls)
	s.shipped.put(name, strings.Join(purls, betweenPURLs))
	return account.NewShipped(purls), nil
}

func name(s *account.Standing) string { return cmp.Or(s.Version, string(s.Image.Digest)) }

// What the cursors of the lists of packages begin with. They are of no two releases: the
// name that they have is a place between all.
const (
	addedList   = "packages added"
	removedList = "packages removed"
	changedList = "packages changed"
)

// byName has the pages of a comparison go on after the names that their cursors tell, as
// [account.ComparePackages] takes them.
func byName(p *account.ComparePages) error {
	return cmp.Or(afterName(addedList, &p.Added), afterName(removedList, &p.Removed), afterName(changedList, &p.Changed))
}

func afterName(list string, p *account.Page) error {
	name, err := readBookmark(p.After, list, 1)
	p.After, p.Limit = strings.Join(name, ""), limitOf(*p) // no name for the first part
	return err
}

// marked has a list go on where it ends by name.
func marked(list string, l *account.List[account.PackageChange]) {
	if l.Next != "" {
		l.Next = bookmark(list, l.Next)
	}
}

func (s *Store) comparePackages(ctx context.Context, tx *transaction, c *account.Comparison, pages account.ComparePages) error {
	sides, err := readLicences(ctx, tx, &c.From, &c.To)
	if err != nil {
		return err
	}
	from, to, p := &sides[0], &sides[1], &c.Packages
	if p.Unknown = cmp.Or(from.unknown, to.unknown); p.Unknown != "" {
		return nil
	}
	for _, side := range []*shipment{from, to} {
		if side.packages, err = s.readShipped(ctx, tx, &side.image); err != nil {
			return err
		}
	}
	*p = account.ComparePackages(from.packages, to.packages, pages)
	marked(addedList, &p.Added)
	marked(removedList, &p.Removed)
	marked(changedList, &p.Changed)
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
