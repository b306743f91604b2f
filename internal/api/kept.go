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
			id: "list-audit-entries", path: wire.Base + "/audit", tag: "audit", least: access.Auditor, summary: "The audit log",
			endpoint: to((*API).audit), gives: shape[wire.List[wire.Entry]](), paged: true,
		},
		{
			id: "list-tokens", path: wire.Base + "/tokens", tag: "tokens", scope: grant.Tokens, summary: "API tokens without their secrets",
			description: "Those that were revoked or expired are among them.",
			endpoint:    to((*API).tokens), gives: shape[wire.List[wire.Token]](), paged: true,
		},
		{
			id: "list-settings", path: wire.Base + "/settings", tag: "settings", summary: "The settings of web that are in force",
			endpoint: to((*API).settings), gives: shape[wire.List[wire.Setting]](), paged: true,
		},
	}
}

func (a *API) audit(ctx context.Context, in *inTime) (*answer, error) {
	p, err := in.oneMore()
	if err != nil {
		return nil, err
	}
	found, err := a.cfg.Store.Audit(ctx, p)
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(partBefore(found, in.Limit, func(e *grant.Entry) int64 { return e.Key }), wire.EntryOf)), nil
}

func (a *API) tokens(ctx context.Context, in *inTime) (*answer, error) {
	p, err := in.oneMore()
	if err != nil {
		return nil, err
	}
	found, err := a.cfg.Store.Tokens(ctx, p)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	return listed(wire.ListOf(partBefore(found, in.Limit, func(t *grant.Token) int64 { return t.Key }),
		func(t *grant.Token) wire.Token { return wire.TokenOf(t, now) })), nil
}

func (a *API) settings(_ context.Context, in *page) (*answer, error) {
	return partOf(part(in, "settings", a.cfg.Settings, func(s *wire.Setting) string { return s.Key }, func(s *wire.Setting) wire.Setting { return *s }))
}

// oneMore is the part of a list by keys that is asked for, with the item behind it, which
// tells whether there is another part.
func (in *inTime) oneMore() (grant.Page, error) {
	p := grant.Page{Limit: in.Limit + 1, Oldest: in.Sort == "-at"}
	if in.Cursor == "" {
		return p, nil
	}
	key, err := strconv.ParseInt(in.Cursor, 10, 64)
	if err != nil || key <= 0 {
		return p, account.ErrCursor
	}
	p.After = key
	return p, nil
}

// partBefore is a part of a list of which one item more was read than it takes.
func partBefore[T any](items []T, limit int, key func(*T) int64) account.List[T] {
	l := account.List[T]{Items: items, Total: -1}
	if len(items) > limit {
		l.Items = items[:limit]
		l.Next = strconv.FormatInt(key(&items[limit-1]), 10)
	}
	return l
}
