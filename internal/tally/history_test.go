package tally_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// turns is how often the release of a test turns from one verdict to another: more often
// than one part of a history has room for.
const turns = 55

// restless is a tally of a release whose verdict and whose signature change again and again.
func restless(t *testing.T, url string) *tallytest.Bench {
	t.Helper()
	b := tallytest.New(t, url, tallytest.Options{Connections: 4})
	b.Publish(t, "Go", storetest.Advisory("GO-NONE", "example.com/none", "2.0.0", b.Now(), ""))
	index, platforms := b.Release(t, 1, "v1.0.0")
	b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.0.0")
	b.Look(t)
	again(t, b)
	for i := range turns {
		b.Advance(90 * time.Minute)
		if i%2 == 0 {
			b.Server.Delete(t, tallytest.Path, evidencetest.Tag(index, "sig"))
		} else {
			b.Key.Sign(t, b.Repository, index)
		}
		b.Look(t)
		again(t, b)
	}
	return b
}

func TestTheHistoryOfAReleaseIsReadInPartsAndNothingIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := restless(t, url)
		r, err := b.Store.Release(t.Context(), account.Ref{Repository: b.Repository, Name: "v1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		page := account.Page{Limit: account.MostItems}
		verdicts, err := b.Store.Verdicts(t.Context(), r.Key, page)
		if err != nil || verdicts.Next != "" || verdicts.Total != len(verdicts.Items) || len(verdicts.Items) < turns {
			t.Fatalf("got %d of %d verdicts, %v; want one for each turn", len(verdicts.Items), verdicts.Total, err)
		}
		inOrder(t, verdicts.Items)
		for _, limit := range []int{1, 20, turns} {
			inParts(t, "verdicts", limit, verdicts, func(p account.Page) (account.List[account.Verdict], error) {
				return b.Store.Verdicts(t.Context(), r.Key, p)
			})
		}
		var changes [2]account.List[account.EvidenceChange]
		for i, q := range []account.ChangeQuery{{}, {Moved: true}} {
			all, err := b.Store.EvidenceChanges(t.Context(), r.Key, q, page)
			if err != nil || all.Next != "" || all.Total != len(all.Items) || len(all.Items) < turns {
				t.Fatalf("%+v: got %d of %d, %v; want one for each turn", q, len(all.Items), all.Total, err)
			}
			for _, limit := range []int{1, 20, turns} {
				inParts(t, fmt.Sprintf("%+v", q), limit, all, func(p account.Page) (account.List[account.EvidenceChange], error) {
					return b.Store.EvidenceChanges(t.Context(), r.Key, q, p)
				})
			}
			changes[i] = all
		}
		firsts := 0
		for _, c := range changes[0].Items {
			if c.Before == "" {
				firsts++
			}
		}
		if firsts == 0 || changes[1].Total != changes[0].Total-firsts {
			t.Errorf("got %d moves of %d changes, of which %d are first states", changes[1].Total, changes[0].Total, firsts)
		}
		// The newest part of each is with the release.
		for name, diff := range map[string]string{
			"verdicts": cmp.Diff(verdicts.Items[:50], r.Verdicts.Items), "changes": cmp.Diff(changes[0].Items[:50], r.Changes.Items),
			"moves": cmp.Diff(changes[1].Items[:50], r.Moves.Items),
		} {
			if diff != "" {
				t.Errorf("%s of the release (-want +got):\n%s", name, diff)
			}
		}
		if r.Verdicts.Total != verdicts.Total || r.Changes.Total != changes[0].Total || r.Moves.Total != changes[1].Total {
			t.Errorf("of the release: got %d verdicts, %d changes, %d moves", r.Verdicts.Total, r.Changes.Total, r.Moves.Total)
		}
		rest, err := b.Store.Verdicts(t.Context(), r.Key, account.Page{After: r.Verdicts.Next, Limit: account.MostItems})
		if diff := cmp.Diff(verdicts.Items[50:], rest.Items); diff != "" || err != nil {
			t.Errorf("after those of the release: %v (-want +got):\n%s", err, diff)
		}
		strangers(t, b, &r)
		// What comes in between two parts is before both.
		b.Advance(90 * time.Minute)
		b.Publish(t, "Go", storetest.Advisory("GO-LATE", "example.com/a", "2.0.0", b.Now(), criticalVector))
		again(t, b)
		later, err := b.Store.Verdicts(t.Context(), r.Key, account.Page{After: r.Verdicts.Next, Limit: account.MostItems})
		if diff := cmp.Diff(rest.Items, later.Items); diff != "" || err != nil || later.Total <= rest.Total {
			t.Errorf("after another verdict: %d, %v; want the same part of more (-want +got):\n%s", later.Total, err, diff)
		}
	})
}

// inOrder finds out whether a history is whole, newest first, each with the one before it.
func inOrder(t *testing.T, all []account.Verdict) {
	t.Helper()
	for i := range all {
		v := &all[i]
		if want := len(all) - 1 - i; v.Number != want {
			t.Errorf("got verdict %d in place %d, want %d", v.Number, i, want)
		}
		switch {
		case i == len(all)-1:
			if v.Before != nil || v.Wave != 0 {
				t.Errorf("the last: got %+v, want the one at release", v)
			}
		case v.Before == nil || v.Before.Number != v.Number-1:
			t.Errorf("verdict %d: got %+v before it", v.Number, v.Before)
		}
	}
}

// strangers asks for parts with cursors that are none of the list.
func strangers(t *testing.T, b *tallytest.Bench, r *account.Release) {
	t.Helper()
	for name, after := range map[string]string{"of another list": r.Changes.Next, "of another image": cursor(t, "verdicts on image 0", "1"), "of nobody": "x"} {
		if _, err := b.Store.Verdicts(t.Context(), r.Key, account.Page{After: after}); !errors.Is(err, account.ErrCursor) {
			t.Errorf("verdicts with a cursor %s: got %v", name, err)
		}
	}
	for name, after := range map[string]string{"of another list": r.Verdicts.Next, "without a number": cursor(t, fmt.Sprintf("evidence of image %d", r.Key), "1", "x")} {
		if _, err := b.Store.EvidenceChanges(t.Context(), r.Key, account.ChangeQuery{}, account.Page{After: after}); !errors.Is(err, account.ErrCursor) {
			t.Errorf("changes with a cursor %s: got %v", name, err)
		}
	}
	if nothing, err := b.Store.Verdicts(t.Context(), 1<<40, account.Page{}); err != nil || len(nothing.Items) != 0 || nothing.Total != 0 {
		t.Errorf("of an image of nobody: got %+v, %v", nothing, err)
	}
}
