package api

import (
	"context"
	"strconv"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// ofKept are the operations about who may do what, who did what, and how web is set up.
func (a *API) ofKept() []operation {
	return []operation{
		{
			id: "list-audit-entries", path: wire.Base + "/audit", tag: "audit", least: access.Auditor, summary: "The audit log, newest first",
			endpoint: to((*API).audit), gives: shape[wire.List[wire.Entry]](), paged: true,
		},
		{
			id: "list-tokens", path: wire.Base + "/tokens", tag: "tokens", scope: grant.Tokens, summary: "API tokens without their secrets, newest first",
			description: "Those that were revoked or expired are among them.",
			endpoint:    to((*API).tokens), gives: shape[wire.List[wire.Token]](), paged: true,
		},
		{
			id: "list-settings", path: wire.Base + "/settings", tag: "settings", summary: "The settings of web that are in force",
			endpoint: to((*API).settings), gives: shape[wire.List[wire.Setting]](), paged: true,
		},
	}
}

func (a *API) audit(ctx context.Context, in *page) (*answer, error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	found, err := a.cfg.Store.Audit(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(olderThan(found, in.Limit, func(e *grant.Entry) int64 { return e.Key }), wire.EntryOf)), nil
}

func (a *API) tokens(ctx context.Context, in *page) (*answer, error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	found, err := a.cfg.Store.Tokens(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	return listed(wire.ListOf(olderThan(found, in.Limit, func(t *grant.Token) int64 { return t.Key }),
		func(t *grant.Token) wire.Token { return wire.TokenOf(t, now) })), nil
}

func (a *API) settings(_ context.Context, in *page) (*answer, error) {
	return partOf(part(in, "settings", a.cfg.Settings, func(s *wire.Setting) string { return s.Key }, func(s *wire.Setting) wire.Setting { return *s }))
}

// before is the key that the cursor of a list by keys says.
func (p *page) before() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	key, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || key <= 0 {
		return 0, account.ErrCursor
	}
	return key, nil
}

// olderThan is a part of a list of which one item more was read than it takes.
func olderThan[T any](items []T, limit int, key func(*T) int64) account.List[T] {
	l := account.List[T]{Items: items, Total: -1}
	if len(items) > limit {
		l.Items = items[:limit]
		l.Next = strconv.FormatInt(key(&items[limit-1]), 10)
	}
	return l
}
