package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Compare returns what differs between two releases, which may be of two repositories,
// or [account.ErrNotFound].
func (s *Store) Compare(ctx context.Context, from, to account.Ref) (account.Comparison, error) {
	var c account.Comparison
	err := s.view(ctx, func(tx *transaction) (err error) {
		for _, side := range []struct {
			ref      account.Ref
			standing *account.Standing
		}{{from, &c.From}, {to, &c.To}} {
			if *side.standing, err = findStanding(ctx, tx, side.ref); err != nil {
				return fmt.Errorf("release %s of %s: %w", side.ref.Name, side.ref.Repository, err)
			}
			if err := complete(ctx, tx, []*account.Standing{side.standing}, true); err != nil {
				return err
			}
		}
		c.Sizes = account.CompareSizes(c.From.Image.Platforms, c.To.Image.Platforms)
		if err := s.comparePackages(ctx, tx, &c); err != nil {
			return fmt.Errorf("compare packages: %w", err)
		}
		if err := compareFindings(ctx, tx, &c); err != nil {
			return fmt.Errorf("compare findings: %w", err)
		}
		return compareSigners(ctx, tx, &c)
	})
	if err != nil {
		return account.Comparison{}, fmt.Errorf("compare: %w", err)
	}
	return c, nil
}

// shipment is what an image ships: the versions of each package, by its purl without
// one.
type shipment struct {
	versions map[string][]string
	licences map[string]bool
	// unknown is why it is not known. Empty when it is.
	unknown string
}

// readLicences reads the licences of what an image ships, or why that is not known.
func readLicences(ctx context.Context, tx *transaction, s *account.Standing) (shipment, error) {
	sh := shipment{versions: make(map[string][]string), licences: make(map[string]bool)}
	documents, err := collect(ctx, tx, func(rows *sql.Rows) (d [2]string, err error) {
		err = rows.Scan(&d[0], &d[1])
		return d, err
	}, `SELECT d.failure, d.licences FROM image_document i JOIN document d ON d.id = i.document_id WHERE i.examination_id = $1 AND i.kind = $2`,
		s.Key, string(release.PaperSBOM))
	if err != nil {
		return sh, err
	}
	if len(documents) == 0 {
		sh.unknown = fmt.Sprintf("%s has no SBOM to read its packages from", name(s))
		return sh, nil
	}
	for _, d := range documents {
		if d[0] != "" {
			sh.unknown = fmt.Sprintf("an SBOM of %s cannot be read: %s", name(s), d[0])
			return sh, nil
		}
		licences, err := fromJSON[[]string](d[1])
		if err != nil {
			return sh, err
		}
		for _, l := range licences {
			sh.licences[l] = true
		}
	}
	return sh, nil
}

func (sh *shipment) add(base, version string) {
	if !slices.Contains(sh.versions[base], version) {
		sh.versions[base] = append(sh.versions[base], version)
	}
}

// readShipments reads what two images ship, at once: most of it is the same.
func (s *Store) readShipments(ctx context.Context, tx *transaction, c *account.Comparison, from, to *shipment) error {
	images, err := listings(ctx, tx, `(SELECT x.id FROM examination x WHERE x.id IN ($1, $2))`, c.From.Key, c.To.Key)
	if err != nil {
		return err
	}
	lists, err := s.readContents(ctx, tx, images)
	if err != nil {
		return err
	}
	sides := make(map[int64]int) // by package
	for i := range images {
		for _, key := range images[i].packages(lists) {
			if images[i].key == c.From.Key {
				sides[key] |= 1
			}
			if images[i].key == c.To.Key {
				sides[key] |= 2
			}
		}
	}
	for of, ship := range map[int][]*shipment{1: {from}, 2: {to}, 3: {from, to}} {
		var keys []int64
		for key, on := range sides {
			if on == of {
				keys = append(keys, key)
			}
		}
		purls, err := s.readPURLs(ctx, tx, keys)
		if err != nil {
			return err
		}
		for _, purl := range purls {
			base, version := account.SplitPURL(purl)
			for _, side := range ship {
				side.add(base, version)
			}
		}
	}
	for _, side := range []*shipment{from, to} {
		for _, versions := range side.versions {
			slices.Sort(versions)
		}
	}
	return nil
}

// readPURLs reads the purls of packages, in any order. They come as one text: hundreds of
// rows take longer to hand over than to find.
func (s *Store) readPURLs(ctx context.Context, tx *transaction, packages []int64) ([]string, error) {
	slices.Sort(packages)
	var all []string
	for keys := range slices.Chunk(packages, batch) {
		text, _, err := scanOne[string](ctx, tx, `SELECT `+s.engine.array(`purl`)+` FROM package WHERE id IN `+list(len(keys), 0), anys(keys)...)
		if err != nil {
			return nil, err
		}
		purls, err := fromJSON[[]string](text)
		if err != nil {
			return nil, err
		}
		all = append(all, purls...)
	}
	return all, nil
}

func name(s *account.Standing) string { return cmp.Or(s.Version, string(s.Image.Digest)) }

func (s *Store) comparePackages(ctx context.Context, tx *transaction, c *account.Comparison) error {
	from, err := readLicences(ctx, tx, &c.From)
	if err != nil {
		return err
	}
	to, err := readLicences(ctx, tx, &c.To)
	if err != nil {
		return err
	}
	p := &c.Packages
	if p.Unknown = cmp.Or(from.unknown, to.unknown); p.Unknown != "" {
		return nil
	}
	if err := s.readShipments(ctx, tx, c, &from, &to); err != nil {
		return err
	}
	*p = account.ComparePackages(from.versions, to.versions, account.MostItems)
	c.LicencesGone, c.LicencesNew = account.OnlyIn(from.licences, to.licences), account.OnlyIn(to.licences, from.licences)
	return nil
}

// compareFindings compares what stands by vulnerability and package, whatever the
// version of the package.
func compareFindings(ctx context.Context, tx *transaction, c *account.Comparison) error {
	if c.From.Key == 0 || c.To.Key == 0 {
		return nil
	}
	read := func(key int64) (map[[2]string]bool, []account.Finding, error) {
		all, err := readFindings(ctx, tx, key)
		all = slices.DeleteFunc(all, func(f account.Finding) bool { return f.Occurrence == account.Gone })
		set := make(map[[2]string]bool)
		for i := range all {
			set[findingName(&all[i])] = true
		}
		return set, all, err
	}
	before, had, err := read(c.From.Key)
	if err != nil {
		return err
	}
	after, has, err := read(c.To.Key)
	if err != nil {
		return err
	}
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

func compareSigners(ctx context.Context, tx *transaction, c *account.Comparison) error {
	for _, side := range []struct {
		standing *account.Standing
		signers  *[]string
	}{{&c.From, &c.FromSigners}, {&c.To, &c.ToSigners}} {
		if side.standing.Key == 0 {
			continue
		}
		pieces, err := readPieces(ctx, tx, side.standing.Key)
		if err != nil {
			return fmt.Errorf("read evidence: %w", err)
		}
		for i := range pieces {
			if pieces[i].Kind != release.PaperSignature {
				continue
			}
			for _, p := range pieces[i].Papers {
				if p.State == release.StateVerified && p.Signer != "" && !slices.Contains(*side.signers, p.Signer) {
					*side.signers = append(*side.signers, p.Signer)
				}
			}
		}
		slices.Sort(*side.signers)
	}
	return nil
}
