package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Issuer signs people in with OpenID Connect; *sso.Issuer implements it.
type Issuer interface {
	// Begin returns the URL to send a browser to. It fails when the issuer cannot be
	// reached.
	Begin(ctx context.Context, redirect string, a Attempt) (string, error)
	// Finish returns who came back with a code. A [*RefusedError] says that the issuer,
	// or what it says of the person, lets nobody in.
	Finish(ctx context.Context, redirect, code string, a Attempt) (Person, error)
}

// Attempt are the random values that hold one attempt to sign in together.
type Attempt struct {
	State, Nonce string
	// Verifier is the secret of PKCE (RFC 7636).
	Verifier string
}

// Person is who the issuer says it is.
type Person struct {
	// Subject is unique at the issuer, Name is for people.
	Subject, Name string
	Role          Role
}

// RefusedError says why somebody is not let in, in words for them.
type RefusedError struct {
	Why string
	// Subject is who it is, when that is known.
	Subject string
}

func (e *RefusedError) Error() string { return e.Why }

// attemptLife is how long somebody may take at the issuer.
const attemptLife = 10 * time.Minute

// pending is an attempt as the browser keeps it, in a cookie that no script and no other
// host can read or set.
type pending struct {
	Attempt
	Next    string
	Expires int64
}

// redirect is where the issuer sends browsers back to.
func (g *Guard) redirect() string {
	return strings.TrimSuffix(g.cfg.ConsoleURL, "/") + callbackPath
}

// toIssuer sends the browser to the issuer.
func (g *Guard) toIssuer(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if !From(r.Context()).Secure {
		g.show(w, r, http.StatusBadRequest, g.page(r, next))
		return
	}
	p, err := g.newPending(next)
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	to, err := g.cfg.Issuer.Begin(r.Context(), g.redirect(), p.Attempt)
	if err != nil {
		g.issuerFails(w, r, next, err)
		return
	}
	content, err := json.Marshal(p)
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	http.SetCookie(w, cookie(attemptCookie, base64.RawURLEncoding.EncodeToString(content), time.Unix(p.Expires, 0)))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (g *Guard) newPending(next string) (pending, error) {
	p := pending{Next: next, Expires: g.cfg.Now().Add(attemptLife).Unix()}
	for _, value := range []*string{&p.State, &p.Nonce, &p.Verifier} {
		id, err := newID(g.cfg.Random)
		if err != nil {
			return p, err
		}
		*value = id
	}
	return p, nil
}

// attempt returns what the browser of a request began.
func (g *Guard) attempt(r *http.Request) (pending, error) {
	var p pending
	c, err := r.Cookie(attemptCookie)
	if err != nil {
		return p, errors.New("the browser began no attempt")
	}
	content, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err != nil || p.State == "" || p.Nonce == "" || p.Verifier == "" {
		return pending{}, errors.New("the attempt cannot be read")
	}
	if g.cfg.Now().Unix() >= p.Expires {
		return pending{}, errors.New("the attempt took too long")
	}
	if subtle.ConstantTimeCompare([]byte(p.State), []byte(r.URL.Query().Get("state"))) != 1 {
		return pending{}, errors.New("the answer belongs to another attempt")
	}
	return p, nil
}

// fromIssuer takes the browser back from the issuer.
func (g *Guard) fromIssuer(w http.ResponseWriter, r *http.Request) {
	forget(w, attemptCookie) // an attempt is used once
	if !g.mayTry(w, r, "/") {
		return
	}
	p, err := g.attempt(r)
	if err != nil {
		g.refused(w, r, "/", http.StatusBadRequest, &RefusedError{Why: "Signing in did not go through: " + err.Error() + ". Try again."})
		return
	}
	next, query := localPath(p.Next), r.URL.Query()
	if code := query.Get("error"); code != "" {
		g.refused(w, r, next, http.StatusForbidden, &RefusedError{Why: "The identity provider answered: " + clip(code+" "+query.Get("error_description"))})
		return
	}
	person, err := g.cfg.Issuer.Finish(r.Context(), g.redirect(), query.Get("code"), p.Attempt)
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		g.refused(w, r, next, http.StatusForbidden, refused)
		return
	case err != nil:
		g.issuerFails(w, r, next, err)
		return
	}
	who := Principal{ID: "oidc:" + person.Subject, Name: person.Name, Role: person.Role, Via: ViaSession}
	for _, s := range grant.Scopes() {
		if person.Role >= s.Needs() {
			who.Scopes = append(who.Scopes, s)
		}
	}
	if err := g.begin(w, r, who, "", "by OpenID Connect"); err != nil {
		g.unavailable(w, r, err)
		return
	}
	g.arrive(w, r, next)
}

// refused shows why somebody is not let in, and writes it down.
func (g *Guard) refused(w http.ResponseWriter, r *http.Request, next string, status int, e *RefusedError) {
	g.failures.take(addressKey(From(r.Context()).Remote), g.cfg.Now())
	bad := &badTokenError{why: e.Why}
	if e.Subject != "" {
		bad.id = "oidc:" + e.Subject
	}
	g.auditFailure(r.Context(), bad)
	g.fail(w, r, status, next, e.Why)
}

func (g *Guard) issuerFails(w http.ResponseWriter, r *http.Request, next string, err error) {
	zerolog.Ctx(r.Context()).Error().Err(err).Msg("identity provider cannot be used")
	w.Header().Set("Retry-After", "10")
	g.fail(w, r, http.StatusServiceUnavailable, next, "The identity provider cannot be reached, or its answer cannot be used. The log of this service says why.")
}

// clip bounds what is shown of what others wrote.
func clip(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s…", strings.ToValidUTF8(s[:most], ""))
}
