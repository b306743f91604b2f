package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/grant"
)

const (
	// MostDays is how long a token may hold.
	MostDays = 366
	mostName = 100
	perPage  = 50
)

// NewToken is a token to be made.
type NewToken struct {
	Name   string
	Role   Role
	Scopes []grant.Scope
	// Days is how long it holds, from 1 to [MostDays].
	Days int
}

// InvalidError says what is wrong with a token that was to be made, in words for people.
type InvalidError struct{ Problem string }

func (e *InvalidError) Error() string { return e.Problem }

// check says what is wrong with a token that p wants to have made. Nobody hands on more
// than they have.
func (n *NewToken) check(p Principal) error {
	invalid := func(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }
	switch {
	case n.Name == "" || utf8.RuneCountInString(n.Name) > mostName || strings.ContainsFunc(n.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return invalid("The name has to have 1 to %d characters.", mostName)
	case !slices.Contains(grant.Roles(), n.Role):
		return invalid("Choose a role.")
	case n.Role > p.Role:
		return invalid("The role is higher than yours.")
	case len(n.Scopes) == 0:
		return invalid("Choose at least one scope.")
	case n.Days < 1 || n.Days > MostDays:
		return invalid("It has to end after 1 to %d days.", MostDays)
	}
	for _, s := range n.Scopes {
		switch {
		case !slices.Contains(grant.Scopes(), s):
			return invalid("There is no scope %q.", s)
		case !slices.Contains(p.Scopes, s):
			return invalid("You do not have the scope %s yourself.", s)
		case s.Needs() > n.Role:
			return invalid("The scope %s needs the role %s.", s, s.Needs())
		}
	}
	return nil
}

// MakeToken makes a token for the principal of ctx, and returns all of it: it cannot be
// had again. The error is an [*InvalidError] when it cannot be made as asked for. The
// caller has seen to it that the principal may.
func (g *Guard) MakeToken(ctx context.Context, n NewToken) (secret string, t grant.Token, err error) {
	n.Name = strings.TrimSpace(n.Name)
	p := Of(ctx)
	if err := n.check(p); err != nil {
		return "", grant.Token{}, err
	}
	secret, t, err = g.mint(n.Name, n.Role, n.Scopes, time.Duration(n.Days)*24*time.Hour, p.Name)
	if err != nil {
		return "", grant.Token{}, err
	}
	detail := fmt.Sprintf("%s: %s, %s, until %s", t.Name, t.Role, grant.FormatScopes(t.Scopes), t.Expires.Format(time.RFC3339))
	if err := g.cfg.Store.MakeToken(ctx, t, g.Entry(ctx, grant.ActionTokenMake, t.ID, detail)); err != nil {
		return "", grant.Token{}, err
	}
	return secret, t, nil
}

func (g *Guard) mint(name string, role Role, scopes []grant.Scope, life time.Duration, by string) (string, grant.Token, error) {
	secret, id, err := newToken(g.cfg.Random)
	if err != nil {
		return "", grant.Token{}, err
	}
	now := g.cfg.Now()
	return secret, grant.Token{
		ID: id, Hash: hashOf(secret), Name: name, Role: role, Scopes: scopes, MadeBy: by, Made: now, Expires: now.Add(life),
	}, nil
}

// Tokens returns a page of tokens, as [TokenStore] has it.
func (g *Guard) Tokens(ctx context.Context, p grant.Page) ([]grant.Token, error) {
	return g.cfg.Store.Tokens(ctx, p)
}

// RevokeToken ends a token and its sessions for the principal of ctx. It returns false
// when there is none of that id that is not revoked.
func (g *Guard) RevokeToken(ctx context.Context, id string) (bool, error) {
	return g.cfg.Store.RevokeToken(ctx, id, g.Entry(ctx, grant.ActionTokenRevoke, id, ""))
}

// list is the page of tokens for a request, without what was asked for.
func (g *Guard) list(r *http.Request) (TokenList, error) {
	part := pageOf(r, "made")
	all, err := g.cfg.Store.Tokens(r.Context(), part)
	if err != nil {
		return TokenList{}, err
	}
	p := Of(r.Context())
	page := TokenList{Now: g.cfg.Now(), Scopes: p.Scopes, Form: NewToken{Role: Viewer, Scopes: []grant.Scope{grant.Read}, Days: 90}}
	for _, role := range grant.Roles() {
		if role <= p.Role {
			page.Roles = append(page.Roles, role)
		}
	}
	if len(all) > perPage {
		all = all[:perPage]
		page.Next = nextPage(tokensPath, "made", part, all[perPage-1].Key)
	}
	page.Tokens = all
	return page, nil
}

func (g *Guard) showTokens(w http.ResponseWriter, r *http.Request) {
	page, err := g.list(r)
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	g.cfg.Pages.Tokens(w, r, http.StatusOK, page)
}

func (g *Guard) makeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	n := NewToken{Name: r.PostForm.Get("name")}
	if err == nil {
		n.Role, err = grant.ParseRole(r.PostForm.Get("role"))
	}
	if err == nil {
		n.Scopes, err = grant.ParseScopes(strings.Join(r.PostForm["scope"], " "))
	}
	if err != nil {
		a := answer{g: g, w: w, r: r, kind: Page}
		a.refuse(http.StatusBadRequest, "The form could not be read", "Go back, and fill it in again.")
		return
	}
	// What is no number is 0, which is out of bounds, and is said to be.
	n.Days, err = strconv.Atoi(strings.TrimSpace(r.PostForm.Get("days")))
	if err != nil {
		n.Days = 0
	}
	secret, t, err := g.MakeToken(r.Context(), n)
	status := http.StatusOK
	page, listErr := g.list(r)
	switch invalid, ok := err.(*InvalidError); { //nolint:errorlint // it is not wrapped
	case ok:
		status, page.Form, page.Problem = http.StatusUnprocessableEntity, n, invalid.Problem
	case err != nil:
		g.unavailable(w, r, err)
		return
	default:
		page.Made, page.Secret = &t, secret
	}
	if listErr != nil {
		if secret == "" {
			g.unavailable(w, r, listErr)
			return
		}
		// The token is there, and this is the only time that it can be seen.
		zerolog.Ctx(r.Context()).Error().Err(listErr).Msg("tokens cannot be listed")
	}
	w.Header().Set("Cache-Control", "no-store")
	g.cfg.Pages.Tokens(w, r, status, page)
}

func (g *Guard) revokeToken(w http.ResponseWriter, r *http.Request) {
	revoked, err := g.RevokeToken(r.Context(), r.PathValue("id"))
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	if !revoked {
		a := answer{g: g, w: w, r: r, kind: Page}
		a.refuse(http.StatusNotFound, "No such token", "There is no token of this id, or it was revoked before.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, tokensPath, http.StatusSeeOther)
}
