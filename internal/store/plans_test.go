package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

const planned, plannedBeside = "registry.example/a", "registry.example/b"

// fillForPlans writes as many rows as make it matter how a statement is run.
func fillForPlans(t *testing.T, s *Store) {
	t.Helper()
	const releases, packages, advisories, waves = 3_000, 300, 3_000, 1_000
	rows := map[string][][]any{}
	add := func(into string, row ...any) { rows[into] = append(rows[into], row) }
	add("repository (name, watched)", planned, true)
	add("repository (name, watched)", plannedBeside, true)
	for p := range packages {
		add("package (id, purl, name, version, family, subject, gap, first_seen, folded)", p+1, fmt.Sprintf("pkg:golang/example.com/p%d@v1.0.0", p), fmt.Sprintf("example.com/p%d", p),
			"v1.0.0", "go", fmt.Sprintf("example.com/p%d", p), "", 1, fmt.Appendf(nil, "example.com/p%d", p))
	}
	for i := range releases {
		// In the order of the versions, and not in that of the table; some of a moment.
		repository, version, at := planned, fmt.Sprintf("v%d.%d.0", i%97, i), int64(i*7919%releases/3)
		if i%20 == 0 {
			repository = plannedBeside
		}
		if i%10 == 1 {
			version += "-rc.1"
		}
		digest := string(storetest.DigestOf(version))
		add("image (repository, digest, media_type, revision, first_seen)", repository, digest, "x", "", at)
		add("release (repository, version, digest, first_seen, precedence, prerelease)", repository, version, digest, at, release.Precedence(version), release.IsPrerelease(version))
		add("tag (repository, name, generation, kind, digest, first_seen)", repository, version, 1, "version", digest, at)
		add("examination (id, repository, digest, released_at, result)", i+1, repository, digest, at, []string{"pass", "fail"}[i%2])
		add("document (id, digest, format, version, packages, unidentified, licences, ecosystems, unmatchable, why_not, failure, size, content)", i+1, digest, "SPDX", "2.3", 5, 0, "[]", "{}", 0, "", "", 1, []byte{})
		add("image_document (examination_id, subject, document_id, kind, verified, signer)", i+1, digest, i+1, "sbom", true, "")
		for j := range 3 {
			add("document_package (document_id, package_id, position)", i+1, (i+j*79)%packages+1, j)
		}
	}
	for i := range advisories {
		add("advisory (id, feed, name, digest, published, modified, first_seen, summary, aliases, upstream, own, severity)",
			i+1, "Go", fmt.Sprintf("GO-%d", i*7919%advisories), "", int64(i%997), int64(i*7919%advisories/3), 1, "", "[]", "[]", "", "high 7")
		add("advisory_alias (name, advisory_id, upstream)", fmt.Sprintf("GO-%d", i*7919%advisories), i+1, false)
		if i%10 == 0 {
			add("finding (package_id, advisory_id, since, ecosystem, fixed, why)", i%packages+1, i+1, 1, "Go", "[]", "")
		}
	}
	for i := range waves {
		add("wave (id, cause, origin, at, sealed_at, judged_at)", i+1, []string{"advisories", "policy"}[i%2], fmt.Sprint("Go", i), i, i, i)
		if i%4 == 0 {
			add("wave_finding (wave_id, package_id, advisory_id, change)", i+1, i%packages+1, i+1, "new")
		}
	}
	tables := []string{"repository", "image", "release", "tag", "examination", "package", "document", "image_document", "document_package", "advisory", "advisory_alias", "finding", "wave", "wave_finding"}
	err := s.change(t.Context(), func(tx *transaction) error {
		for _, table := range tables {
			for into, all := range rows {
				if strings.HasPrefix(into, table+" ") {
					if err := bulk(t.Context(), tx, "INSERT INTO "+into, "", all); err != nil {
						return fmt.Errorf("%s: %w", table, err)
					}
				}
			}
		}
		return nil
	})
	if err == nil {
		if _, ok := s.Postgres(); ok { // which it does by itself, later
			err = s.Exec(t.Context(), `ANALYZE`)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// statement is one that was read with.
type statement struct {
	text string
	args []any
}

// statements are those that a store read with.
type statements struct {
	mu  sync.Mutex
	all []statement
}

func (s *statements) note(text string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, statement{text, args})
}

func (s *statements) take() []statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.all = nil }()
	return s.all
}

// noting has the statements noted that a store reads with from now on.
func noting(t *testing.T, s *Store, url string) *statements {
	t.Helper()
	noted := new(statements)
	if pool, ok := s.Postgres(); ok {
		cfg := pool.Config().ConnConfig
		cfg.Tracer = tracing{noted}
		s.read = stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(planForFew))
	} else {
		target, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		connector, err := sqlite.NewConnector(sqliteDSN(target.sqlitePath, "query_only(1)"))
		if err != nil {
			t.Fatal(err)
		}
		s.read = sql.OpenDB(notingConnector{connector, noted})
	}
	t.Cleanup(func() {
		if err := s.read.Close(); err != nil {
			t.Error(err)
		}
	})
	return noted
}

type tracing struct{ noted *statements }

func (n tracing) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	var args []any
	for _, arg := range q.Args {
		switch arg.(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID: // for the driver
		default:
			args = append(args, arg)
		}
	}
	n.noted.note(q.SQL, args)
	return ctx
}

func (tracing) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

type notingConnector struct {
	driver.Connector

	noted *statements
}

func (c notingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("got a connection %T", conn)
	}
	return notingConn{inner, c.noted}, nil
}

type notingConn struct {
	sqliteConn

	noted *statements
}

func (c notingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	values := make([]any, len(args))
	for i := range args {
		values[i] = args[i].Value
	}
	c.noted.note(text, values)
	return c.sqliteConn.QueryContext(ctx, text, args)
}

// plan is how the engine runs a statement, a step a line.
func (s *Store) plan(ctx context.Context, of statement) (string, error) {
	if _, ok := s.Postgres(); !ok {
		steps, err := collect(ctx, s.write, func(rows *sql.Rows) (step string, err error) {
			var id, parent, unused int
			err = rows.Scan(&id, &parent, &unused, &step)
			return step, err
		}, `EXPLAIN QUERY PLAN `+of.text, of.args...)
		return strings.Join(steps, "\n"), err
	}
	// For whatever values, as it is run.
	values := make([]string, len(of.args))
	for i, arg := range of.args {
		switch v := arg.(type) {
		case string:
			values[i] = `'` + strings.ReplaceAll(v, `'`, `''`) + `'`
		case []byte:
			values[i] = `'\x` + hex.EncodeToString(v) + `'`
		case []int64:
			values[i] = `'{` + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + `}'`
		default:
			values[i] = fmt.Sprint(v)
		}
	}
	execute := `EXPLAIN EXECUTE planned (` + strings.Join(values, ", ") + `)`
	if len(values) == 0 {
		execute = `EXPLAIN EXECUTE planned`
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `PREPARE planned AS `+of.text); err != nil {
		return "", err
	}
	steps, err := collect(ctx, conn, func(rows *sql.Rows) (step string, err error) {
		err = rows.Scan(&step)
		return step, err
	}, execute)
	if err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, `DEALLOCATE planned`)
	return strings.Join(steps, "\n"), err
}

// sortsAll are the steps of a plan that put all rows in order to give out a few; what is
// nearly in order, and put right in small groups, is none. readsAll are those that read a
// table to its end.
var (
	sortsAll = regexp.MustCompile(`(?m)USE TEMP B-TREE FOR ORDER BY|^\W*Sort  `)
	// choosesAll are statements that choose among all of a kind, and not of one wave, or few
	// documents.
	choosesAll = regexp.MustCompile(`FROM (release r|advisory a|wave w|document_package l)\b`)
	readsAll   = regexp.MustCompile(`Seq Scan on (release|tag|advisory|document_package|image_document|wave|wave_finding) |(?m)SCAN (r|t|l)$`)
)

func TestReadsGoAlongTheirIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, _, _ := openLedger(t, url)
		fillForPlans(t, s)
		noted := noting(t, s, url)
		for name, read := range listsInParts(t.Context(), s) {
			p := account.Page{Limit: 7}
			for range 2 {
				next, err := read(p)
				if err != nil || next == "" {
					t.Fatalf("%s: got next %q, %v; want further parts", name, next, err)
				}
				p.After = next
			}
			checkPlans(t, s, name, noted.take(), 2)
		}
		for _, version := range []string{"v50.2000.0", "v50.2001.0-rc.1", "v0.0.1", "v99.0.0"} {
			if _, err := s.Before(t.Context(), planned, version); err != nil {
				t.Fatal(err)
			}
			checkPlans(t, s, "the version before "+version, noted.take(), 1)
		}
	})
}

// listsInParts reads a part of each list that is read from either end, and returns the
// cursor of the next.
func listsInParts(ctx context.Context, s *Store) map[string]func(account.Page) (next string, err error) {
	reads := map[string]func(account.Page) (string, error){}
	for _, minus := range []string{"", "-"} {
		oldest := minus == "-"
		for name, q := range map[string]account.ReleaseQuery{
			"releases by seen": {Sort: minus + "seen"}, "releases of a component by seen": {Repository: planned, Sort: minus + "seen"},
			"releases of a component by version": {Repository: planned, Sort: minus + "version"},
		} {
			reads[minus+name] = func(p account.Page) (string, error) {
				found, err := s.Releases(ctx, q, p)
				return found.Next, err
			}
		}
		for _, sort := range []string{"modified", "published", "id"} {
			for _, found := range []bool{false, true} {
				reads[fmt.Sprintf("advisories by %s%s, only those found: %t", minus, sort, found)] = func(p account.Page) (string, error) {
					found, err := s.Advisories(ctx, account.AdvisoryQuery{Sort: minus + sort, Found: found}, p)
					return found.Next, err
				}
			}
		}
		for _, term := range []string{"registry.example", "example.com/p7"} {
			reads[minus+"search for "+term] = func(p account.Page) (string, error) {
				p.Oldest = oldest
				found, err := s.Search(ctx, term, p)
				return found.Next, err
			}
		}
		reads[minus+"activity"] = func(p account.Page) (string, error) {
			p.Oldest = oldest
			found, err := s.Activity(ctx, p)
			return found.Next, err
		}
		reads[minus+"new findings"] = func(p account.Page) (string, error) {
			p.Oldest = oldest
			found, err := s.NewFindings(ctx, p)
			return found.Next, err
		}
	}
	return reads
}

// checkPlans finds out how the statements are run that choose a part, of which there are
// so many at least.
func checkPlans(t *testing.T, s *Store, name string, all []statement, least int) {
	t.Helper()
	choose := 0
	for _, one := range all {
		if !strings.Contains(one.text, "LIMIT") {
			continue
		}
		choose++
		plan, err := s.plan(t.Context(), one)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, one.text)
		}
		bad := readsAll.FindString(plan)
		if bad == "" && choosesAll.MatchString(one.text) {
			bad = sortsAll.FindString(plan)
		}
		if bad != "" {
			t.Errorf("%s: got %q in the plan\n%s\nof\n%s", name, bad, plan, one.text)
		}
	}
	if choose < least {
		t.Errorf("%s: got %d statements that choose a part, want %d", name, choose, least)
	}
}
