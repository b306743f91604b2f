package access

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// answer refuses a request as the kind of its route has it.
type answer struct {
	g    *Guard
	w    http.ResponseWriter
	r    *http.Request
	kind Kind
}

// problem is the body of a refusal of an API (RFC 9457, section 3.1).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (a *answer) refuse(status int, title, detail string) {
	a.w.Header().Set("Cache-Control", "no-store")
	if a.kind != API && a.kind != PublicAPI {
		a.g.cfg.Pages.Refuse(a.w, a.r, status, Refusal{Title: title, Detail: detail})
		return
	}
	a.w.Header().Set("Content-Type", "application/problem+json")
	a.w.WriteHeader(status)
	if err := json.NewEncoder(a.w).Encode(problem{title, status, detail}); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		zerolog.Ctx(a.r.Context()).Debug().Err(err).Msg("answer not written")
	}
}

// challenge says how to authenticate (RFC 6750, section 3).
func (a *answer) challenge(more string) {
	a.w.Header().Set("WWW-Authenticate", `Bearer realm="tallyman"`+more)
}

// unknown is for who has not said who they are.
func (a *answer) unknown() {
	if a.kind == API {
		a.challenge("")
		a.refuse(http.StatusUnauthorized, "Not signed in", "Send a token, as in Authorization: Bearer tally_…")
		return
	}
	next := "/"
	if a.r.Method == http.MethodGet || a.r.Method == http.MethodHead {
		next = localPath(a.r.URL.RequestURI())
	}
	a.w.Header().Set("Cache-Control", "no-store")
	http.Redirect(a.w, a.r, signInPath(next), http.StatusSeeOther)
}

func signInPath(next string) string {
	if next == "/" {
		return loginPath
	}
	return loginPath + "?" + url.Values{"next": {next}}.Encode()
}

// forbidden is for who may not.
func (a *answer) forbidden(p Principal, route *Route) {
	detail := "This needs the role " + route.Role.String() + "; " + p.Name + " is " + p.Role.String() + "."
	if p.Role >= route.Role {
		detail = "This needs the scope " + string(route.Scope) + ", which " + p.Name + " does not have."
	}
	if p.Via == ViaToken {
		a.challenge(`, error="insufficient_scope"`)
	}
	a.refuse(http.StatusForbidden, "Not allowed", detail)
}

func (a *answer) crossOrigin(err error) {
	zerolog.Ctx(a.r.Context()).Warn().Err(err).Str("remote", From(a.r.Context()).Remote).Msg("request from another site refused")
	a.refuse(http.StatusForbidden, "Refused", "This request came from a page of another site.")
}

func (a *answer) tooMany(wait time.Duration) {
	a.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	a.refuse(http.StatusTooManyRequests, "Too many requests", "Try again in a moment.")
}

// failed is for credentials that do not hold, and for a store that does not answer.
func (a *answer) failed(err error) {
	var bad *badTokenError
	if !errors.As(err, &bad) {
		if a.r.Context().Err() == nil {
			zerolog.Ctx(a.r.Context()).Error().Err(err).Msg("cannot find out who it is")
		}
		a.w.Header().Set("Retry-After", "10")
		a.refuse(http.StatusServiceUnavailable, "Cannot be said just now", "The database did not answer.")
		return
	}
	if wait := a.g.failures.take(addressKey(From(a.r.Context()).Remote), a.g.cfg.Now()); wait > 0 {
		a.tooMany(wait)
		return
	}
	a.g.auditFailure(a.r.Context(), bad)
	// Who presents a token is a program: a page for it would be of no use.
	a.kind = API
	a.challenge(`, error="invalid_token"`)
	a.refuse(http.StatusUnauthorized, "Not a token that holds", "It is unknown, has expired or was revoked.")
}
