package access

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/grant"
)

const (
	loginPath    = "/login"
	logoutPath   = "/logout"
	issuerPath   = "/login/oidc"
	callbackPath = "/login/oidc/callback"
	tokensPath   = "/settings/tokens"
	auditPath    = "/settings/audit"
)

// own are the routes of the guard itself.
func (g *Guard) own() []Route {
	public := func(method, pattern string, h http.HandlerFunc) Route {
		return Route{Method: method, Pattern: pattern, Kind: Public, Handler: h}
	}
	operators := func(method, pattern string, h http.HandlerFunc) Route {
		return Route{Method: method, Pattern: pattern, Kind: Page, Role: Operator, Scope: grant.Tokens, Handler: h}
	}
	all := []Route{
		public(http.MethodGet, loginPath, g.showSignIn),
		public(http.MethodPost, loginPath, g.signIn),
		public(http.MethodPost, logoutPath, g.logout),
		operators(http.MethodGet, tokensPath, g.showTokens),
		operators(http.MethodPost, tokensPath, g.makeToken),
		operators(http.MethodPost, tokensPath+"/{id}/revoke", g.revokeToken),
		{Method: http.MethodGet, Pattern: auditPath, Kind: Page, Role: Auditor, Handler: http.HandlerFunc(g.showAudit)},
	}
	if g.cfg.Issuer != nil {
		all = append(all, public(http.MethodGet, issuerPath, g.toIssuer), public(http.MethodGet, callbackPath, g.fromIssuer))
	}
	return all
}

// page is the sign-in page for a request.
func (g *Guard) page(r *http.Request, next string) SignIn {
	p := SignIn{Next: next, Insecure: !From(r.Context()).Secure}
	if g.cfg.Issuer != nil {
		p.OIDC = issuerPath
		if next != "/" {
			p.OIDC += "?" + url.Values{"next": {next}}.Encode()
		}
	}
	return p
}

func (g *Guard) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	_, ok, err := g.session(r, g.touches)
	switch {
	case err != nil:
		g.unavailable(w, r, err)
	case ok:
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath lets nothing but paths of ours through
	default:
		page := g.page(r, next)
		// We come back here after signing in, to see whether the cookie was kept.
		page.CookieLost = r.URL.Query().Has("arrived")
		g.show(w, r, http.StatusOK, page)
	}
}

func (g *Guard) show(w http.ResponseWriter, r *http.Request, status int, page SignIn) {
	w.Header().Set("Cache-Control", "no-store")
	g.cfg.Pages.SignIn(w, r, status, page)
}

// fail shows the sign-in page again, with what was wrong.
func (g *Guard) fail(w http.ResponseWriter, r *http.Request, status int, next, what string) {
	page := g.page(r, next)
	page.Problem = what
	g.show(w, r, status, page)
}

// signIn signs in with a token.
func (g *Guard) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		g.fail(w, r, http.StatusBadRequest, "/", "The form could not be read.")
		return
	}
	next := localPath(r.PostForm.Get("next"))
	if !From(r.Context()).Secure {
		g.show(w, r, http.StatusBadRequest, g.page(r, next))
		return
	}
	if !g.mayTry(w, r, next) {
		return
	}
	t, err := g.lookUp(r.Context(), strings.TrimSpace(r.PostForm.Get("token")), g.touches)
	var bad *badTokenError
	switch {
	case errors.As(err, &bad):
		g.failedLogin(w, r, next, bad)
		return
	case err != nil:
		g.unavailable(w, r, err)
		return
	}
	p := Principal{ID: "token:" + t.ID, Name: t.Name, Role: t.Role, Scopes: t.Scopes, Via: ViaSession}
	if err := g.begin(w, r, p, t.ID, "by token"); err != nil {
		g.unavailable(w, r, err)
		return
	}
	g.arrive(w, r, next)
}

// mayTry refuses an address from which too many attempts failed.
func (g *Guard) mayTry(w http.ResponseWriter, r *http.Request, next string) bool {
	wait := g.failures.look(addressKey(From(r.Context()).Remote), g.cfg.Now())
	if wait <= 0 {
		return true
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	g.fail(w, r, http.StatusTooManyRequests, next, "Too many attempts failed from your address. Try again in a minute.")
	return false
}

func (g *Guard) failedLogin(w http.ResponseWriter, r *http.Request, next string, bad *badTokenError) {
	g.failures.take(addressKey(From(r.Context()).Remote), g.cfg.Now())
	g.auditFailure(r.Context(), bad)
	// Which of these it was is for the log: whoever guesses need not know.
	g.fail(w, r, http.StatusUnauthorized, next, "This is no token that holds: it is unknown, has expired or was revoked.")
}

// arrive goes where somebody wanted to be, by way of the sign-in page, which says so when
// the browser has not kept the cookie.
func (g *Guard) arrive(w http.ResponseWriter, r *http.Request, next string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, loginPath+"?"+url.Values{"arrived": {""}, "next": {next}}.Encode(), http.StatusSeeOther)
}
