package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// piece is what is known of the papers of one kind about one manifest.
type piece struct {
	Kind string
	// First: it is the first of its kind in the table.
	First bool
	On    string
	State state
	Since *moment
	// Known is the latest state that was not unknown, where it is unknown now.
	Known   *state
	KnownAt *moment
	// Best is the paper that weighs most, nil where there is none.
	Best *paper
	More []paper
}

// paper is a signature or an attestation.
type paper struct {
	State     state
	Signer    string
	SignedAt  *moment
	Where     string
	LogIndex  string // empty where there is none
	Predicate string
	Document  string // the address of the document
	Manifest  string
	Unsigned  bool
}

// newPieces are the pieces in the order of the kinds, and in that of the platforms.
func newPieces(r *account.Release, p *page) []piece {
	kinds := append(release.PaperKinds(), release.PaperOther)
	var list []piece
	for _, kind := range kinds {
		first := true
		for i := range r.Pieces {
			if e := &r.Pieces[i]; e.Kind == kind {
				v := newPiece(e, p)
				v.First, first = first, false
				list = append(list, v)
			}
		}
		if first && kind != release.PaperOther {
			list = append(list, piece{
				Kind: kindName(kind), First: true, On: "image",
				State: state{Class: "unknown", Word: "Unknown", Reason: "the papers of this image were not looked at yet"},
			})
		}
	}
	return list
}

func newPiece(e *account.Piece, p *page) piece {
	v := piece{Kind: kindName(e.Kind), On: e.On, State: evidenceState(e.State), Since: optional(e.Since, p.at)}
	v.State.Reason = e.Reason
	if v.State.Class == "unknown" && e.Known != "" {
		known := evidenceState(e.Known)
		v.Known, v.KnownAt = &known, optional(e.KnownAt, p.at)
	}
	for i := range e.Papers {
		one := newPaper(&e.Papers[i], p)
		if i == 0 {
			v.Best = &one
		} else {
			v.More = append(v.More, one)
		}
	}
	return v
}

func newPaper(l *ledger.Paper, p *page) paper {
	v := paper{
		State: evidenceState(l.State), Signer: l.Signer, SignedAt: optional(l.SignedAt, p.at),
		Predicate: l.PredicateType, Manifest: string(l.Manifest), Unsigned: l.Unsigned,
	}
	v.State.Reason = l.Reason
	var places []string
	for _, place := range l.Found {
		places = append(places, string(place))
	}
	v.Where = strings.Join(places, ", ")
	if l.LogIndex >= 0 {
		v.LogIndex = fmt.Sprint(l.LogIndex)
	}
	if l.Document != "" {
		v.Document = documentURL(l.Document)
	}
	return v
}

// change is a step in the history of the verdict.
type change struct {
	State  state
	Before *state // nil for the first
	At     *moment
	Cause  string
	Origin string
	Wave   string // the address of what led to it
	// Why are the rules that answer differently, and the counts that differ.
	Why    []string
	Counts counts
}

// history is a part of what happened to an image.
type history struct {
	Verdicts []change
	// Begins is the place of the first verdict among all, counted from the oldest.
	Begins  string
	Changes []evidenceChange
	// The pagers are of the lists of the same name.
	VerdictsPager, ChangesPager pager
}

// history is the part of the history of a release that is asked for. The newest one is with
// the release.
func (c *Console) history(ctx context.Context, r *account.Release, p *page) (*history, error) {
	verdicts, changes := r.Verdicts, r.Moves
	var err error
	if after := p.q.values.Get(afterIn("history")); after != "" {
		if verdicts, err = c.cfg.Store.Verdicts(ctx, r.Key, account.Page{After: after, Limit: listPart}); err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
	}
	if after := p.q.values.Get(afterIn("evidence-changes")); after != "" {
		if changes, err = c.cfg.Store.EvidenceChanges(ctx, r.Key, account.ChangeQuery{Moved: true}, account.Page{After: after, Limit: listPart}); err != nil {
			return nil, fmt.Errorf("read changes of evidence: %w", err)
		}
	}
	v := &history{
		Verdicts:      newSteps(verdicts.Items, p),
		VerdictsPager: pagerIn(p.q, "history", len(verdicts.Items), verdicts.Next, verdicts.Total, "verdict"),
		ChangesPager:  pagerIn(p.q, "evidence-changes", len(changes.Items), changes.Next, changes.Total, "change"),
	}
	if len(verdicts.Items) > 0 {
		v.Begins = fmt.Sprint(verdicts.Items[0].Number + 1)
	}
	for _, e := range changes.Items {
		v.Changes = append(v.Changes, newEvidenceChange(e, r, p))
	}
	return v, nil
}

// newSteps are the steps of a history, newest first. Each says what differs from the one
// before it.
func newSteps(verdicts []account.Verdict, p *page) []change {
	var list []change
	for i := range verdicts {
		v := &verdicts[i]
		step := newChange(v, p)
		if v.Before != nil {
			s := resultState(v.Before.Result)
			step.Before, step.Why = &s, differences(v.Before, v)
		}
		if v.Number == 0 {
			step.Cause = "The image became a release"
		}
		list = append(list, step)
	}
	return list
}

func newChange(v *account.Verdict, p *page) change {
	c := change{State: verdictState(v), At: optional(v.At, p.at), Cause: causeWords(v.Cause), Origin: v.Origin, Counts: newCounts(v)}
	if v.Wave != 0 {
		c.Wave = waveURL(fmt.Sprint(v.Wave))
	}
	return c
}

// causeWords say what set off a wave.
func causeWords(c release.WaveCause) string {
	switch c {
	case release.WaveRelease:
		return "A release was found"
	case release.WaveEvidence:
		return "What is known of its papers changed"
	case release.WaveAdvisories:
		return "Advisories changed"
	case release.WavePolicy:
		return "Another policy, or a later look"
	case release.WaveTag:
		return "A version tag moved"
	default:
		return "Judged again"
	}
}

// differences says what is not as it was between two verdicts on an image.
func differences(before, after *account.Verdict) []string {
	var list []string
	for _, now := range after.Reasons {
		i := slices.IndexFunc(before.Reasons, func(r release.Reason) bool { return r.Rule == now.Rule })
		switch {
		case i < 0:
			list = append(list, fmt.Sprintf("%s: new rule, %s: %s", now.Rule, resultState(now.Result).Word, now.Message))
		case before.Reasons[i].Result != now.Result:
			list = append(list, fmt.Sprintf("%s: %s, was %s: %s", now.Rule, resultState(now.Result).Word, resultState(before.Reasons[i].Result).Word, now.Message))
		}
	}
	for _, was := range before.Reasons {
		if !slices.ContainsFunc(after.Reasons, func(r release.Reason) bool { return r.Rule == was.Rule }) {
			list = append(list, was.Rule+": no longer asked")
		}
	}
	return append(list, countDifferences(before.Counts, after.Counts)...)
}

func countDifferences(before, after ledger.Counts) []string {
	if !before.Known || !after.Known {
		if before.Known != after.Known {
			return []string{map[bool]string{true: "findings can be counted again", false: "findings can no longer be counted"}[after.Known]}
		}
		return nil
	}
	var list []string
	for _, n := range []struct {
		name          string
		before, after int
	}{
		{"critical", before.Critical, after.Critical},
		{"high", before.High, after.High},
		{"medium", before.Medium, after.Medium},
		{"low", before.Low, after.Low},
		{"unscored", before.Unscored, after.Unscored},
		{"suppressed", before.Suppressed, after.Suppressed},
	} {
		if n.before != n.after {
			list = append(list, fmt.Sprintf("%s: %d, was %d", n.name, n.after, n.before))
		}
	}
	return list
}

// evidenceChange is a change of what is known of papers.
type evidenceChange struct {
	At            *moment
	Kind, On      string
	Before, After state
	Reason        string
}

func newEvidenceChange(e account.EvidenceChange, r *account.Release, p *page) evidenceChange {
	v := evidenceChange{
		At: optional(e.At, p.at), Kind: kindName(e.Kind), On: short(string(e.Subject)),
		Before: evidenceState(e.Before), After: evidenceState(e.After), Reason: e.Reason,
	}
	if e.Subject == r.Image.Digest {
		v.On = "index"
	}
	for _, platform := range r.Image.Platforms {
		if platform.Digest == e.Subject && platform.Digest != r.Image.Digest {
			v.On = platform.String()
		}
	}
	return v
}

// noPaper says what it means that there is no paper to show.
func noPaper(e piece) string {
	if e.State.Class == "absent" {
		return "every place was looked at, and there is none"
	}
	return "no paper to show"
}
