package tally

import (
	"context"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// tellEvery is how often it is written down how far a job is.
const tellEvery = 500 * time.Millisecond

// telling writes down how far a job is, for people. That it cannot is no reason for the
// job to fail: it is logged, once.
type telling struct {
	t        *Tally
	progress ledger.Progress
	last     time.Time
	broken   bool
}

// follow begins to tell of a job.
func (t *Tally) follow(ctx context.Context, step release.Step, subject, note string, total int64) *telling {
	told := &telling{t: t, progress: ledger.Progress{Step: step, Subject: subject}}
	told.at(ctx, note, 0, total)
	return told
}

// at tells what is being done now, unless it told of something a moment ago.
func (p *telling) at(ctx context.Context, note string, done, total int64) {
	p.progress.Note, p.progress.Done, p.progress.Total = note, done, total
	if now := p.t.now(); p.last.IsZero() || now.Sub(p.last) >= tellEvery {
		p.last = now
		p.write(ctx)
	}
}

// end tells that the job has ended; note is what came of it where err is nil.
func (p *telling) end(ctx context.Context, note string, err error) {
	p.progress.Ended = true
	if err != nil {
		p.progress.Failure = err.Error()
	} else {
		p.progress.Note, p.progress.Done = note, p.progress.Total
	}
	// It is told also where the time of the job is up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	p.write(ctx)
}

func (p *telling) write(ctx context.Context) {
	if err := p.t.progress(ctx, p.progress); err != nil && !p.broken {
		p.broken = true
		p.t.cfg.Log.Warn().Err(err).Str("job", string(p.progress.Step)).Str("subject", p.progress.Subject).Msg("progress not recorded")
	}
}
