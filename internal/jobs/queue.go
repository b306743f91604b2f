package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Queue puts tasks where a [Runner] takes jobs from. It needs no runner: any process
// with the store may queue.
type Queue struct {
	client inserter
}

// inserter is what a Queue needs of a [river.Client] whose transactions are of
// database/sql. The store has these on PostgreSQL too, where the runner uses pgx.
type inserter interface {
	InsertManyTx(ctx context.Context, tx *sql.Tx, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
}

// NewQueue returns the queue in the database of the store.
func NewQueue(s Store) (*Queue, error) {
	cfg := &river.Config{MaxAttempts: maxAttempts}
	var client inserter
	var err error
	if db, ok := s.SQLite(); ok {
		client, err = river.NewClient(riversqlite.New(db), cfg)
	} else if _, ok := s.Postgres(); ok {
		client, err = river.NewClient(riverdatabasesql.New(nil), cfg)
	} else {
		err = errNoEngine
	}
	if err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	return &Queue{client: client}, nil
}

var errNoEngine = errors.New("the store is neither SQLite nor PostgreSQL")

// queuedAtOnce bounds the jobs of one statement.
const queuedAtOnce = 500

// Enqueue queues tasks within a transaction. One that waits already is left as it is.
func (q *Queue) Enqueue(ctx context.Context, tx *sql.Tx, tasks ...release.Task) error {
	for len(tasks) > 0 {
		n := min(queuedAtOnce, len(tasks))
		params := make([]river.InsertManyParams, 0, n)
		for _, t := range tasks[:n] {
			args, err := argsOf(t)
			if err != nil {
				return fmt.Errorf("enqueue: %w", err)
			}
			params = append(params, river.InsertManyParams{Args: args})
		}
		if _, err := q.client.InsertManyTx(ctx, tx, params); err != nil {
			return fmt.Errorf("enqueue %d tasks: %w", n, err)
		}
		tasks = tasks[n:]
	}
	return nil
}
