package access

import (
	"errors"
	"net/http"
	"time"

	"github.com/tallyman-io/tallyman/internal/grant"
)

const (
	// sessionCookie has the prefix by which browsers hold that it is secure, for this
	// host alone, and for all of it (RFC 6265bis, section 4.1.3.2).
	sessionCookie = "__Host-tallyman"
	attemptCookie = "__Host-tallyman-login"
)

// cookie is one that scripts do not see, and that other sites do not send along but when
// they lead here.
func cookie(name, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", Expires: expires,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// forget has the browser drop a cookie.
func forget(w http.ResponseWriter, name string) {
	c := cookie(name, "", time.Time{}) //nolint:gosec // cookie sets all three attributes
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// sessionHash is what is kept of the id in a request's cookie, nil when there is none.
func sessionHash(r *http.Request) []byte {
	c, err := r.Cookie(sessionCookie)
	if err != nil || c.Value == "" {
		return nil
	}
	return hashOf(c.Value)
}

// session returns who is signed in, and false when nobody is, or not any more.
func (g *Guard) session(r *http.Request, noted *touches) (Principal, bool, error) {
	hash := sessionHash(r)
	if hash == nil {
		return Principal{}, false, nil
	}
	s, ok, err := g.cfg.Store.Session(r.Context(), hash)
	if err != nil || !ok {
		return Principal{}, false, err
	}
	now := g.cfg.Now()
	if s.TokenEnded || !now.Before(s.Expires) || now.Sub(s.Seen) > g.cfg.SessionIdle {
		return Principal{}, false, nil
	}
	if noted != nil && now.Sub(s.Seen) >= touchEvery {
		noted.session(hash, now)
	}
	return Principal{ID: s.Subject, Name: s.Name, Role: s.Role, Scopes: s.Scopes, Via: ViaSession}, true, nil
}

// begin signs somebody in, under a new id: one that the browser was made to have before
// is worth nothing. It ends the session that the browser had.
func (g *Guard) begin(w http.ResponseWriter, r *http.Request, p Principal, tokenID, how string) error {
	id, err := newID(g.cfg.Random)
	if err != nil {
		return err
	}
	now := g.cfg.Now()
	n := grant.Session{
		Hash: hashOf(id), TokenID: tokenID, Subject: p.ID, Name: p.Name, Role: p.Role, Scopes: p.Scopes,
		Began: now, Seen: now, Expires: now.Add(g.cfg.SessionLifetime),
	}
	ctx := r.Context()
	e := g.Entry(With(ctx, p), grant.ActionLogin, p.ID, how)
	if err := g.cfg.Store.MakeSession(ctx, n, sessionHash(r), now.Add(-g.cfg.SessionIdle), e); err != nil {
		return err
	}
	http.SetCookie(w, cookie(sessionCookie, id, n.Expires))
	return nil
}

// logout ends the session of a browser. Whoever has none is signed out already.
func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	p, ok, err := g.session(r, g.touches)
	if err == nil && ok {
		_, err = g.cfg.Store.EndSession(r.Context(), sessionHash(r), g.Entry(With(r.Context(), p), grant.ActionLogout, p.ID, ""))
	}
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	forget(w, sessionCookie)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// unavailable is for a store that does not answer.
func (g *Guard) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	a := answer{g: g, w: w, r: r, kind: Page}
	var bad *badTokenError
	if errors.As(err, &bad) {
		err = errors.New(bad.Error())
	}
	a.failed(err)
}
