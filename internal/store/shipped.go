package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
)

// shippedPackages are the packages of an image, once each.
const shippedPackages = `(SELECT DISTINCT dp.package_id FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id
	WHERE d.examination_id = ?)`

// packageColumns reads packages p, with how many findings they have and how bad the worst is.
const packageColumns = `
	SELECT p.purl, p.name, p.version, p.licences, CASE WHEN p.family = '' AND p.gap = '' THEN '' ELSE p.gap END,
		(SELECT count(*) FROM finding f WHERE f.package_id = p.id AND f.until IS NULL),
		coalesce((SELECT min(CASE substr(a.severity, 1, 2) WHEN 'cr' THEN '0critical' WHEN 'hi' THEN '1high' WHEN 'me' THEN '2medium'
			WHEN 'lo' THEN '3low' WHEN 'un' THEN '4unscored' ELSE '5none' END)
			FROM finding f JOIN advisory a ON a.id = f.advisory_id WHERE f.package_id = p.id AND f.until IS NULL), '')
	FROM package p`

// Packages returns the packages of an image; key is that of a [account.Standing].
func (s *Store) Packages(ctx context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	var found account.List[account.Package]
	err := s.view(ctx, func(tx *transaction) (err error) {
		found, err = s.readPackages(ctx, tx, key, q, p)
		return err
	})
	if err != nil {
		return found, fmt.Errorf("read packages: %w", err)
	}
	return found, nil
}

func (s *Store) readPackages(ctx context.Context, tx *transaction, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	found := account.List[account.Package]{}
	at, err := readNumbers(p.After, "packages", 1)
	if err != nil {
		return found, err
	}
	from := 0
	if len(at) > 0 {
		from = int(min(max(at[0], 0), math.MaxInt32))
	}
	limit := limitOf(p)
	if all := (account.PackageQuery{Sort: q.Sort}); q == all && (q.Sort == "" || q.Sort == "name") {
		found.Items, found.Total, err = s.packagesByName(ctx, tx, key, from, limit)
	} else {
		found.Items, found.Total, err = choosePackages(ctx, tx, key, q, from, limit)
	}
	if err != nil {
		return found, err
	}
	if next := from + len(found.Items); len(found.Items) == limit && next < found.Total {
		found.Next = bookmark("packages", decimal(int64(next)))
	}
	return found, nil
}

// packagesByName reads a part of the packages of an image, all of which are remembered, and
// counts them.
func (s *Store) packagesByName(ctx context.Context, tx *transaction, key int64, from, limit int) ([]account.Package, int, error) {
	images, err := s.listings(ctx, tx, key)
	if err != nil || len(images) == 0 {
		return nil, 0, err
	}
	all, err := s.readContents(ctx, tx, &images[0])
	if err != nil {
		return nil, 0, err
	}
	part := all[min(from, len(all)):min(from+limit, len(all))]
	packages, err := collect(ctx, tx, scanShipped, packageColumns+` WHERE p.id `+s.engine.among(1)+packageOrder("name"), s.engine.keys(part))
	return packages, len(all), err
}

// choosePackages reads a part of the packages of an image that a query chooses, and counts
// those.
func choosePackages(ctx context.Context, tx *transaction, key int64, q account.PackageQuery, from, limit int) ([]account.Package, int, error) {
	var where conditions
	if q.Subject != "" {
		where.add(`p.id IN (SELECT dp.package_id FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id
			WHERE d.examination_id = ? AND d.subject = ?)`, key, string(q.Subject))
	} else {
		where.add(`p.id IN `+shippedPackages, key)
	}
	if q.Text != "" {
		pattern := containing(strings.ToLower(q.Text))
		where.add(`lower(p.name) LIKE ? ESCAPE '\' OR lower(p.purl) LIKE ? ESCAPE '\'`, pattern, pattern)
	}
	if q.Licence != "" {
		where.add(`p.licences LIKE ? ESCAPE '\'`, containing(jsonText(q.Licence)))
	}
	text, args := where.text()
	total, _, err := scanOne[int](ctx, tx, `SELECT count(*) FROM package p`+text, args...)
	if err != nil {
		return nil, 0, err
	}
	packages, err := collect(ctx, tx, scanShipped, packageColumns+text+packageOrder(q.Sort)+fmt.Sprintf(` LIMIT %d OFFSET %d`, limit, from), args...)
	return packages, total, err
}

func packageOrder(by string) string {
	name, reverse := strings.CutPrefix(by, "-")
	direction := ""
	if reverse {
		direction = " DESC"
	}
	column := "p.name"
	switch name {
	case "version":
		column = "p.version"
	case "findings":
		order := " DESC"
		if reverse {
			order = ""
		}
		return ` ORDER BY 6` + order + `, p.name, p.purl`
	}
	return ` ORDER BY ` + column + direction + `, p.name` + direction + `, p.purl` + direction
}

func scanShipped(rows *sql.Rows) (p account.Package, err error) {
	var licences, worst string
	if err = rows.Scan(&p.PURL, &p.Name, &p.Version, &licences, &p.Gap, &p.Findings, &worst); err != nil {
		return p, err
	}
	if worst != "" {
		p.Worst = worst[1:]
	}
	p.Licences, err = fromJSON[[]string](licences)
	return p, err
}

// containing is a pattern of LIKE for what contains the text, whose escape is \.
func containing(text string) string { return "%" + escaped(text) + "%" }

func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}
