package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// keptStatements is how many prepared statements a connection for reading keeps. The
// console has fewer; lists of keys make new ones of any length.
const keptStatements = 64

// openKeeping opens a database whose connections keep the statements they prepared. To
// parse and plan a statement takes SQLite as long as to run it, for most that the console
// asks for, and database/sql forgets those of a transaction with the transaction.
func openKeeping(dsn string) (*sql.DB, error) {
	inner, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the name of the database: %w", err)
	}
	return sql.OpenDB(keepingConnector{inner}), nil
}

type keepingConnector struct{ driver.Connector }

// Connect makes a connection that keeps its statements.
func (c keepingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // of the driver, for database/sql
	}
	inner, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connect: expected a connection that takes contexts, found %T", conn), conn.Close())
	}
	return &keepingConn{sqliteConn: inner, kept: make(map[string]*keptStatement)}, nil
}

// sqliteConn is what each connection of the driver implements, as it promises.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// keepingConn is a connection with the statements that it prepared, by their text. Like
// every connection it is used by one at a time.
type keepingConn struct {
	sqliteConn

	kept map[string]*keptStatement
	uses int
}

type keptStatement struct {
	text  string
	query sqliteStatement
	used  int // the higher, the later
}

type sqliteStatement interface {
	driver.Stmt
	driver.StmtQueryContext
}

// Unwrap gives the driver its own connection.
func (c *keepingConn) Unwrap() driver.Conn { return c.sqliteConn }

// QueryContext runs a statement that was prepared, or prepares it. While its rows are
// read it is not kept: the same text asked for meanwhile is another statement.
func (c *keepingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.query.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.query.Close())
	}
	return &keptRows{Rows: rows, conn: c, statement: s}, nil
}

func (c *keepingConn) take(ctx context.Context, text string) (*keptStatement, error) {
	if s, ok := c.kept[text]; ok {
		delete(c.kept, text)
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err //nolint:wrapcheck // of the driver, for database/sql
	}
	query, ok := prepared.(sqliteStatement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("prepare: expected a statement that takes contexts, found %T", prepared), prepared.Close())
	}
	return &keptStatement{text: text, query: query}, nil
}

// keep takes a statement back, and closes what was not used for longest.
func (c *keepingConn) keep(s *keptStatement) error {
	if _, ok := c.kept[s.text]; ok {
		return s.query.Close() //nolint:wrapcheck // of the driver, for database/sql
	}
	c.uses++
	s.used = c.uses
	c.kept[s.text] = s
	if len(c.kept) <= keptStatements {
		return nil
	}
	oldest := s
	for _, other := range c.kept {
		if other.used < oldest.used {
			oldest = other
		}
	}
	delete(c.kept, oldest.text)
	return oldest.query.Close() //nolint:wrapcheck // of the driver, for database/sql
}

// Close ends the statements, and then the connection.
func (c *keepingConn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.query.Close())
	}
	clear(c.kept)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// keptRows gives its statement back when it is read.
type keptRows struct {
	driver.Rows

	conn      *keepingConn
	statement *keptStatement
}

// Close ends the reading, which resets the statement.
func (r *keptRows) Close() error {
	s := r.statement
	if s == nil {
		return nil
	}
	r.statement = nil
	if err := r.Rows.Close(); err != nil {
		return errors.Join(err, s.query.Close())
	}
	return r.conn.keep(s)
}
