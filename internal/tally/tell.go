package tally

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/notify"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Messenger composes messages and sends them; *notify.Sender implements it.
type Messenger interface {
	Compose(notice release.Notice) ([]notify.Delivery, error)
	Send(ctx context.Context, d notify.Delivery, attempt int, created, now time.Time) notify.Outcome
}

// LaterError says that a step is to be done again after a while, and that nothing is
// wrong on our side.
type LaterError struct {
	After  time.Duration
	Reason string
}

func (e *LaterError) Error() string { return e.Reason }

// tell closes a wave with one message for each target about all that it changed.
func (t *Tally) tell(ctx context.Context, w ledger.Wave) error {
	notice, err := t.notice(ctx, w)
	if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	var messages []ledger.Message
	if !notice.Empty() {
		deliveries, err := t.cfg.Messenger.Compose(notice)
		if err != nil {
			return fmt.Errorf("judge: compose messages of wave %d: %w", w.ID, err)
		}
		for _, d := range deliveries {
			messages = append(messages, ledger.Message{ID: d.ID + "/" + d.Target, Notice: d.ID, Target: d.Target, Body: d.Body})
		}
	}
	closed, err := t.cfg.Ledger.CloseWave(ctx, w.ID, messages)
	if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	if closed && !notice.Empty() {
		t.cfg.Log.Info().Str("notice", notice.ID).Str("cause", string(w.Cause)).Str("origin", w.Origin).
			Int("verdicts", len(notice.Releases)+notice.Omitted.Releases).
			Int("findings", len(notice.Findings)+notice.Omitted.Findings).Msg(notice.Cause.Text)
	}
	return nil
}

// notice says what a wave changed. It follows from what is stored alone, so that it
// is the same when it is made again.
func (t *Tally) notice(ctx context.Context, w ledger.Wave) (release.Notice, error) {
	n := release.Notice{
		ID: release.NoticeID("wave", string(w.Cause), w.Origin, strconv.FormatInt(w.At.UnixMicro(), 10)), At: w.At,
		Cause: release.NoticeCause{Kind: release.NoticeKind(w.Cause)},
	}
	verdicts, err := t.cfg.Ledger.WaveVerdicts(ctx, w.ID, account.Page{Limit: release.NoticeMost})
	if err != nil {
		return n, err
	}
	findings, err := t.cfg.Ledger.WaveFindings(ctx, w.ID, account.Page{Limit: release.NoticeMost})
	if err != nil {
		return n, err
	}
	// These come in another order than a notice has them in, so it takes its own of more.
	evidence, err := t.cfg.Ledger.WaveEvidence(ctx, w.ID, account.Page{Limit: account.MostItems})
	if err != nil {
		return n, err
	}
	n.Releases, n.Findings, n.Evidence = verdicts.Items, findings.Items, evidence.Items
	n.Omitted.Releases, n.Omitted.Findings = verdicts.Total-len(n.Releases), findings.Total-len(n.Findings)
	n.Omitted.Evidence = evidence.Total - len(n.Evidence)
	if n.Moves, err = t.cfg.Ledger.WaveMoves(ctx, w.ID); err != nil {
		return n, err
	}
	n.Cause.Text = causeText(w, verdicts.Total, findings.Total)
	return n.Bounded(), nil
}

func causeText(w ledger.Wave, verdicts, findings int) string {
	switch w.Cause {
	case release.WaveRelease:
		return "a release was found: " + w.Origin
	case release.WaveEvidence:
		return "what is known of papers changed: " + w.Origin
	case release.WaveAdvisories:
		return fmt.Sprintf("advisories of %s changed: %d findings, %d verdicts", w.Origin, findings, verdicts)
	case release.WaveTag:
		return "a version tag moved in " + w.Origin
	default:
		return "releases were judged again"
	}
}

// Notify makes one attempt at delivering a message. A message that was delivered, or
// given up, is left alone.
func (t *Tally) Notify(ctx context.Context, id string) error {
	m, found, err := t.cfg.Ledger.Message(ctx, id)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	if !found || m.Done {
		return nil
	}
	if wait := m.NextAt.Sub(t.now()); wait > 0 {
		return &LaterError{After: wait, Reason: "it is not yet time for the next attempt"}
	}
	outcome := t.cfg.Messenger.Send(ctx, notify.Delivery{ID: m.Notice, Target: m.Target, Body: m.Body}, m.Attempts+1, m.CreatedAt, t.now())
	if outcome.State == notify.Retry && ctx.Err() != nil {
		return fmt.Errorf("notify %s: %w", m.Target, context.Cause(ctx)) // it is not the target that failed
	}
	// What was sent is sent, even when time is up.
	recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := t.cfg.Ledger.RecordAttempt(recordCtx, ledger.Attempt{
		ID: id, Delivered: outcome.State == notify.Delivered, Dead: outcome.State == notify.Dead, NextAt: outcome.RetryAt, Reason: outcome.Reason,
	}); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	log := t.cfg.Log.With().Str("notice", m.Notice).Str("target", m.Target).Int("attempt", m.Attempts+1).Logger()
	switch outcome.State {
	case notify.Delivered:
		log.Info().Msg("message delivered")
	case notify.Dead:
		log.Error().Str("reason", outcome.Reason).Msg("message given up")
	case notify.Retry:
		return &LaterError{After: outcome.RetryAt.Sub(t.now()), Reason: outcome.Reason}
	}
	return nil
}
