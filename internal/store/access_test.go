package store_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// hour is when the tests of access happen.
var hour = time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)

func openAt(t *testing.T, url string, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{MaxConnections: 4, Now: now, Queue: jobschema.River{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func token(id string) grant.Token {
	sum := sha256.Sum256([]byte(id))
	return grant.Token{
		ID: id, Hash: sum[:], Name: "of " + id, Role: grant.Operator, Scopes: []grant.Scope{grant.Read, grant.Tokens},
		MadeBy: "somebody", Made: hour, Expires: hour.Add(time.Hour),
	}
}

func entry(action, subject string) grant.Entry {
	return grant.Entry{
		At: hour, Actor: "somebody", ActorID: "token:x", Via: "token", Action: action, Subject: subject,
		Detail: "d", Remote: "192.0.2.1", Request: "r1",
	}
}

func session(id, token string) grant.Session {
	sum := sha256.Sum256([]byte(id))
	return grant.Session{
		Hash: sum[:], TokenID: token, Subject: "token:" + token, Name: "n", Role: grant.Auditor, Scopes: []grant.Scope{grant.Read},
		Began: hour, Seen: hour, Expires: hour.Add(time.Hour),
	}
}

func make1(t *testing.T, s *store.Store, tokens ...grant.Token) {
	t.Helper()
	for _, made := range tokens {
		if err := s.MakeToken(t.Context(), made, entry(grant.ActionTokenMake, made.ID)); err != nil {
			t.Fatal(err)
		}
	}
}

func actions(t *testing.T, s *store.Store) []string {
	t.Helper()
	all, err := s.Audit(t.Context(), grant.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range slices.Backward(all) {
		names = append(names, e.Action+" "+e.Subject)
	}
	return names
}

func TestATokenIsKeptAsItWasMade(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := hour
		s := openAt(t, url, func() time.Time { return now })
		want := token("aaaa")
		make1(t, s, want)
		got, ok, err := s.Token(t.Context(), "aaaa")
		if err != nil || !ok {
			t.Fatalf("got %t, %v", ok, err)
		}
		want.Key = got.Key
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("token (-made +kept):\n%s", diff)
		}
		if _, ok, err := s.Token(t.Context(), "bbbb"); ok || err != nil {
			t.Errorf("another token: got %t, %v, want none", ok, err)
		}
		if err := s.MakeToken(t.Context(), token("aaaa"), entry("again", "")); err == nil {
			t.Error("the same id a second time: got no error")
		}
		for _, tt := range []struct{ after, want time.Duration }{{time.Second, time.Second}, {30 * time.Second, time.Second}, {2 * time.Minute, 2 * time.Minute}} {
			if err := s.TouchToken(t.Context(), "aaaa", hour.Add(tt.after)); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := s.Token(t.Context(), "aaaa"); got.LastUsed != hour.Add(tt.want) {
				t.Errorf("used after %s: got %s, want %s after", tt.after, got.LastUsed, tt.want)
			}
		}
	})
}

func TestARevokedTokenEndsItsSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := openAt(t, url, func() time.Time { return hour })
		make1(t, s, token("aaaa"), token("bbbb"))
		for _, n := range []grant.Session{session("1", "aaaa"), session("2", "aaaa"), session("3", "bbbb"), session("4", "")} {
			if err := s.MakeSession(t.Context(), n, nil, hour.Add(-time.Hour), entry(grant.ActionLogin, n.TokenID)); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []bool{true, false} {
			if got, err := s.RevokeToken(t.Context(), "aaaa", entry(grant.ActionTokenRevoke, "aaaa")); err != nil || got != want {
				t.Errorf("revoke the %d. time: got %t, %v, want %t", i+1, got, err, want)
			}
		}
		if got, err := s.RevokeToken(t.Context(), "cccc", entry(grant.ActionTokenRevoke, "cccc")); err != nil || got {
			t.Errorf("revoke what is not there: got %t, %v", got, err)
		}
		for id, want := range map[string]bool{"1": false, "2": false, "3": true, "4": true} {
			if _, got, err := s.Session(t.Context(), session(id, "").Hash); err != nil || got != want {
				t.Errorf("session %s: got %t, %v, want %t", id, got, err, want)
			}
		}
		want := []string{
			"token.make aaaa", "token.make bbbb", "session.login aaaa", "session.login aaaa", "session.login bbbb", "session.login ", "token.revoke aaaa",
		}
		if diff := cmp.Diff(want, actions(t, s)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := hour
		s := openAt(t, url, func() time.Time { return now })
		make1(t, s, token("aaaa"))
		first, second := session("1", "aaaa"), session("2", "aaaa")
		second.Expires = hour.Add(48 * time.Hour)
		login := func(n grant.Session, instead []byte) {
			t.Helper()
			if err := s.MakeSession(t.Context(), n, instead, now.Add(-24*time.Hour), entry(grant.ActionLogin, "")); err != nil {
				t.Fatal(err)
			}
		}
		login(first, nil)
		got, ok, err := s.Session(t.Context(), first.Hash)
		if diff := cmp.Diff(first, got); !ok || err != nil || diff != "" {
			t.Errorf("got %t, %v; session (-made +kept):\n%s", ok, err, diff)
		}
		login(second, first.Hash)
		if _, ok, _ := s.Session(t.Context(), first.Hash); ok {
			t.Error("the session of before the login is still there")
		}
		if err := s.TouchSession(t.Context(), second.Hash, hour.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		now = hour.Add(time.Hour) // the token expires
		if got, _, _ := s.Session(t.Context(), second.Hash); !got.TokenEnded || got.Seen != hour.Add(2*time.Minute) {
			t.Errorf("after its token expired: got %+v", got)
		}
		now = hour.Add(25 * time.Hour) // last seen a day ago
		third := session("3", "")
		third.Seen, third.Expires = now, now.Add(time.Hour)
		login(third, nil)
		if _, ok, _ := s.Session(t.Context(), second.Hash); ok {
			t.Error("an unused session is still there")
		}
		for i, want := range []bool{true, false} {
			if got, err := s.EndSession(t.Context(), third.Hash, entry(grant.ActionLogout, "")); err != nil || got != want {
				t.Errorf("end it the %d. time: got %t, %v, want %t", i+1, got, err, want)
			}
		}
	})
}

func TestOneTokenIsTheFirstHoweverManyStartAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const processes = 6
		stores := make([]*store.Store, processes)
		for i := range stores {
			stores[i] = openAt(t, url, func() time.Time { return hour })
		}
		made, errs := make([]bool, processes), make([]error, processes)
		var wg sync.WaitGroup
		for i, s := range stores {
			wg.Go(func() {
				id := fmt.Sprintf("first%d", i)
				made[i], errs[i] = s.MakeFirstToken(t.Context(), token(id), entry(grant.ActionBootstrap, id))
			})
		}
		wg.Wait()
		n := 0
		for i := range stores {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			if made[i] {
				n++
			}
		}
		all, err := stores[0].Tokens(t.Context(), grant.Page{})
		if err != nil || n != 1 || len(all) != 1 || !all[0].Bootstrap || len(actions(t, stores[0])) != 1 {
			t.Errorf("got %d made, %d tokens, %v, audit %q; want one of each", n, len(all), err, actions(t, stores[0]))
		}
		if _, err := stores[0].RevokeToken(t.Context(), all[0].ID, entry(grant.ActionTokenRevoke, "")); err != nil {
			t.Fatal(err)
		}
		if again, err := stores[1].MakeFirstToken(t.Context(), token("later"), entry(grant.ActionBootstrap, "later")); again || err != nil {
			t.Errorf("after it was revoked: got %t, %v, want no second one", again, err)
		}
	})
}

func TestTokensAndAuditArePagedInBothDirections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := openAt(t, url, func() time.Time { return hour })
		for i := range 5 {
			make1(t, s, token(fmt.Sprintf("t%d", i)))
		}
		want := []string{"t4", "t3", "t2", "t1", "t0"}
		for _, oldest := range []bool{false, true} {
			var ids, subjects []string
			for p := (grant.Page{Limit: 2, Oldest: oldest}); ; {
				page, err := s.Tokens(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for i := range page {
					ids = append(ids, page[i].ID)
				}
				p.After = page[len(page)-1].Key
			}
			for p := (grant.Page{Limit: 2, Oldest: oldest}); ; {
				page, err := s.Audit(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for i := range page {
					subjects = append(subjects, page[i].Subject)
				}
				p.After = page[len(page)-1].Key
			}
			if diff := cmp.Diff([][]string{want, want}, [][]string{ids, subjects}); diff != "" {
				t.Errorf("pages, the oldest first: %t (-want +got):\n%s", oldest, diff)
			}
			slices.Reverse(want)
		}
		odd := entry("odd\x00", "\xff")
		if err := s.RecordAudit(t.Context(), odd); err != nil {
			t.Fatal(err)
		}
		got, err := s.Audit(t.Context(), grant.Page{Limit: 1})
		odd.Action, odd.Subject = "odd\uFFFD", "\uFFFD"
		if err == nil && len(got) == 1 {
			odd.Key = got[0].Key
		}
		if diff := cmp.Diff([]grant.Entry{odd}, got); err != nil || diff != "" {
			t.Errorf("got %v; entry (-want +got):\n%s", err, diff)
		}
	})
}
