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
		if err := comparePackages(ctx, tx, &c); err != nil {
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
func readShipments(ctx context.Context, tx *transaction, c *account.Comparison, from, to *shipment) error {
	const ofFrom, ofTo = 1, 2
	type row struct {
		purl string
		of   int
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.purl, &r.of)
		return r, err
	}, `WITH side (examination_id, number) AS (VALUES (CAST($1 AS BIGINT), 1), (CAST($2 AS BIGINT), 2))
		SELECT p.purl, s.of_sides FROM (SELECT package_id, sum(number) AS of_sides FROM
			(SELECT DISTINCT dp.package_id, side.number FROM side CROSS JOIN image_document d CROSS JOIN document_package dp
			WHERE d.examination_id = side.examination_id AND dp.document_id = d.document_id) AS each_side GROUP BY package_id) AS s
		CROSS JOIN package p WHERE p.id = s.package_id`, c.From.Key, c.To.Key)
	if err != nil {
		return err
	}
	for _, r := range rows {
		base, version := account.SplitPURL(r.purl)
		if r.of&ofFrom != 0 {
			from.add(base, version)
		}
		if r.of&ofTo != 0 {
			to.add(base, version)
		}
	}
	for _, sh := range []*shipment{from, to} {
		for _, versions := range sh.versions {
			slices.Sort(versions)
		}
	}
	return nil
}

func name(s *account.Standing) string { return cmp.Or(s.Version, string(s.Image.Digest)) }

func comparePackages(ctx context.Context, tx *transaction, c *account.Comparison) error {
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
	if err := readShipments(ctx, tx, c, &from, &to); err != nil {
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
