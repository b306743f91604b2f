package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/store"
)

type (
	task = command.Task[config.Worker]
	env  = command.Env[config.Worker]
)

// databaseTasks are what an operator does with the database itself.
func databaseTasks() command.Group[config.Worker] {
	return command.Group[config.Worker]{
		Name: "db", Short: "Check, rebuild, back up or restore the database",
		Tasks: []task{
			{
				Use: "check", Short: "List what is damaged in the database, or not as this program would have it",
				Long: "Compares the database with itself: advisories with their content, findings with a fresh match, and so on.\n" +
					"Changes nothing, and may run beside the services. Exits with 1 when it finds a problem.",
				Run: checkDatabase,
			},
			{
				Use: "rebuild", Short: "Make anew what can be made anew, in place",
				Long: "Puts right what check would find, as far as it is derived from documents, advisories and the history of tags.\n" +
					"Then has all feeds fetched as a whole, all papers looked at and all images judged, which worker run does.\n" +
					"It can be interrupted and run again.",
				Run: rebuildDatabase,
			},
			backupTask(),
			{
				Use: "restore FILE", Short: "Read a backup into a database that has no rows", Args: 1,
				Long: "Takes a backup of either engine into the configured database: all of it, or nothing when anything is wrong with it.",
				Run:  restoreDatabase,
			},
		},
	}
}

// keep opens a store and its ledger, and gives them to do.
func keep(ctx context.Context, e env, open func(context.Context, string, store.Options) (*store.Store, error), do func(*store.Ledger) error) (err error) {
	database := e.Config.Database
	db, err := open(ctx, database.URL.Reveal(), store.Options{MaxConnections: database.MaxConnections, Now: e.Now, Queue: jobschema.River{}})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	queue, err := jobs.NewQueue(db)
	if err != nil {
		return err
	}
	ledger, err := store.NewLedger(db, queue)
	if err != nil {
		return err
	}
	return do(ledger)
}

// shownOfAKind bounds how many problems of one kind are listed.
const shownOfAKind = 20

// listing writes problems, some of each kind.
type listing struct {
	w     io.Writer
	meter *command.Meter
	kinds []string // in the order in which they came
	count map[string]int
	err   error
}

func newListing(w io.Writer, meter *command.Meter) *listing {
	return &listing{w: w, meter: meter, count: make(map[string]int)}
}

func (l *listing) add(p store.Problem) {
	if l.count[p.What] == 0 {
		l.kinds = append(l.kinds, p.What)
	}
	if l.count[p.What]++; l.count[p.What] <= shownOfAKind {
		l.meter.Clear()
		l.line("%s", p)
	}
}

func (l *listing) line(format string, args ...any) {
	if _, err := fmt.Fprintf(l.w, format+"\n", args...); err != nil && l.err == nil {
		l.err = fmt.Errorf("write output: %w", err)
	}
}

// end tells how many were left out, and returns how many there were.
func (l *listing) end() (total int) {
	l.meter.Clear()
	for _, kind := range l.kinds {
		total += l.count[kind]
		if more := l.count[kind] - shownOfAKind; more > 0 {
			l.line("%s: %d more", kind, more)
		}
	}
	return total
}

func checkDatabase(ctx context.Context, e env, c command.Call) error {
	meter := command.NewMeter(c.Stderr, e.Now)
	defer meter.Clear()
	return keep(ctx, e, store.Attach, func(ledger *store.Ledger) error {
		found := newListing(c.Stdout, meter)
		u := store.NewUpkeep(ledger, store.UpkeepConfig{ReadSBOM: facts.ReadSBOM, Progress: meter.Show})
		if err := u.Check(ctx, found.add); err != nil {
			return err
		}
		if n := found.end(); n > 0 {
			return errors.Join(fmt.Errorf("the database has problems: %d", n), found.err)
		}
		found.line("the database has no problems")
		return found.err
	})
}

func rebuildDatabase(ctx context.Context, e env, c command.Call) error {
	meter := command.NewMeter(c.Stderr, e.Now)
	defer meter.Clear()
	return keep(ctx, e, store.Open, func(ledger *store.Ledger) error {
		left, healed := newListing(c.Stdout, meter), 0
		u := store.NewUpkeep(ledger, store.UpkeepConfig{ReadSBOM: facts.ReadSBOM, Progress: meter.Show})
		err := u.Rebuild(ctx, func(p store.Problem, done bool) {
			if done {
				healed++
			} else {
				left.add(p)
			}
		})
		n := left.end()
		left.line("put right: %d", healed)
		if err == nil && n > 0 {
			err = fmt.Errorf("problems that nothing in the database can heal: %d", n)
		}
		return errors.Join(err, left.err)
	})
}
