package api_test

import (
	"context"
	"slices"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func (m *memory) Progress(context.Context) ([]ledger.Progress, error) {
	return []ledger.Progress{
		{Step: release.StepSync, Subject: "Go", Done: 10, Total: 100, StartedAt: noon(9), UpdatedAt: noon(10)},
		{Step: release.StepIngest, Subject: repository + "@" + string(storetest.DigestOf("v1.1.0")), Done: 1, Total: 3, Note: "read documents", StartedAt: noon(9), UpdatedAt: noon(9)},
		{Step: release.StepIngest, Subject: repository + "@" + string(storetest.DigestOf("v1.0.0")), Done: 3, Total: 3, Ended: true, StartedAt: noon(9), UpdatedAt: noon(9)},
		{Step: release.StepDiscover, Subject: repository, Ended: true, Note: "tags: 3, new images: 1", StartedAt: noon(9), UpdatedAt: noon(9)},
		{Step: release.StepSync, Subject: "npm", Ended: true, Failure: "503", StartedAt: noon(9), UpdatedAt: noon(9)},
	}, m.err
}

func (m *memory) ProgressOf(ctx context.Context, repository string, digest release.Digest) ([]ledger.Progress, error) {
	all, err := m.Progress(ctx)
	return slices.DeleteFunc(all, func(p ledger.Progress) bool {
		return p.Subject != repository && p.Subject != repository+"@"+string(digest)
	}), err
}

// Asked is running for v1.1.0, done for the repository, and never happened otherwise.
func (m *memory) Asked(_ context.Context, _ string, digest release.Digest) (account.Asked, error) {
	asked := account.Asked{At: noon(9), By: "ann", TakenAt: noon(9), Job: account.JobRunning, LookedAt: noon(8), Workers: 1}
	switch digest {
	case "":
		asked.Job, asked.LookedAt = account.JobNone, noon(10)
	case storetest.DigestOf("v1.1.0"):
	default:
		asked = account.Asked{}
	}
	return asked, m.err
}

// Audit has two entries.
func (m *memory) Audit(_ context.Context, p grant.Page) ([]grant.Entry, error) {
	all := []grant.Entry{
		{Key: 9, At: noon(9), Actor: "ann", ActorID: "token t1", Via: "token", Action: grant.ActionRescan, Subject: repository, Detail: "ingest", Remote: "192.0.2.1", Request: "req-0"},
		{Key: 4, At: noon(8), Actor: "web", Via: "system", Action: grant.ActionBootstrap},
	}
	return partByKey(all, p, func(e grant.Entry) int64 { return e.Key }), m.err
}

// partByKey is a part of a list that has its newest, the greatest key, first.
func partByKey[T any](all []T, p grant.Page, key func(T) int64) []T {
	if p.Oldest {
		slices.Reverse(all)
	}
	if p.After > 0 {
		all = slices.DeleteFunc(all, func(item T) bool { return key(item) == p.After || (key(item) > p.After) != p.Oldest })
	}
	return all[:min(p.Limit, len(all))]
}

// Tokens has one that is valid, one that was revoked, and one that expired.
func (m *memory) Tokens(_ context.Context, p grant.Page) ([]grant.Token, error) {
	all := []grant.Token{
		{Key: 3, ID: "t3", Hash: []byte("hash"), Name: "ci", Role: grant.Viewer, Scopes: []grant.Scope{grant.Read}, MadeBy: "ann", Made: noon(9), Expires: noon(20), LastUsed: noon(10)},
		{Key: 2, ID: "t2", Hash: []byte("hash"), Name: "old", Role: grant.Auditor, Scopes: []grant.Scope{grant.Read}, MadeBy: "ann", Made: noon(1), Expires: noon(20), Revoked: noon(2)},
		{Key: 1, ID: "t1", Hash: []byte("hash"), Name: "first", Role: grant.Operator, Scopes: grant.Scopes(), MadeBy: "web", Made: noon(1), Expires: noon(2), Bootstrap: true},
	}
	return partByKey(all, p, func(t grant.Token) int64 { return t.Key }), m.err
}

func (m *memory) Queue(context.Context) (account.Queue, error) {
	return account.Queue{Waiting: 1, Running: 2, Retrying: 3, Failed: 4, Workers: 1}, m.err
}

func (m *memory) Ask(_ context.Context, r account.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, r)
	if m.left && m.err == nil {
		return account.ErrNotWatched
	}
	return m.err
}

func (m *memory) HandIn(_ context.Context, u account.Upload) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads = append(m.uploads, u)
	return m.err
}

func (m *memory) Watched(context.Context) ([]string, error) { return []string{repository}, m.err }

func (m *memory) Announce(_ context.Context, a account.Announcement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, a)
	return m.err
}
