package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// TokenStore keeps tokens; *store.Store implements it.
type TokenStore interface {
	MakeToken(ctx context.Context, t grant.Token, e grant.Entry) error
	MakeFirstToken(ctx context.Context, t grant.Token, e grant.Entry) (made bool, err error)
	Token(ctx context.Context, id string) (grant.Token, bool, error)
	Tokens(ctx context.Context, p grant.Page) ([]grant.Token, error)
	RevokeToken(ctx context.Context, id string, e grant.Entry) (revoked bool, err error)
	TouchToken(ctx context.Context, id string, at time.Time) error
}

// SessionStore keeps sessions; *store.Store implements it.
type SessionStore interface {
	MakeSession(ctx context.Context, n grant.Session, instead []byte, unused time.Time, e grant.Entry) error
	Session(ctx context.Context, hash []byte) (grant.Session, bool, error)
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	EndSession(ctx context.Context, hash []byte, e grant.Entry) (ended bool, err error)
}

// AuditStore keeps the audit log; *store.Store implements it.
type AuditStore interface {
	RecordAudit(ctx context.Context, e grant.Entry) error
	Audit(ctx context.Context, p grant.Page) ([]grant.Entry, error)
}

// Store is all that a guard keeps.
type Store interface {
	TokenStore
	SessionStore
	AuditStore
}

// Config says what a [Guard] works with. Store, Pages and the durations are needed.
type Config struct {
	Store Store
	Pages Pages
	// Issuer signs people in with OpenID Connect; nil when that is not configured.
	Issuer Issuer
	Log    zerolog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Random is where secrets come from; crypto/rand when nil.
	Random io.Reader
	// Anonymous is the role of who is not signed in: none, or Viewer.
	Anonymous Role
	// SessionIdle ends a session that is not used, SessionLifetime any.
	SessionIdle, SessionLifetime time.Duration
	// ConsoleURL is where web is seen from outside, "" when that is not known.
	ConsoleURL string
	// Proxies are the networks whose X-Forwarded headers are believed.
	Proxies []netip.Prefix
	// RecheckEvery is how often it is asked whether an answer that lasts may go on; 15 seconds
	// when zero.
	RecheckEvery time.Duration
	// Requests are those a second that a principal, or an address, may make for long;
	// twice as many at once. FailedLogins are those a minute that an address may make.
	Requests, FailedLogins int
}

// Guard stands before all routes. Make one with [New], end it with [Guard.Close]. It is
// safe for concurrent use.
type Guard struct {
	cfg      Config
	proxies  proxies
	parser   parser
	outside  *url.URL // nil when not known
	cross    *http.CrossOriginProtection
	requests *limiter
	failures *limiter
	// written bounds how many failed logins get into the audit log, which is kept for
	// ever; the log of the service has all of them.
	written *rate.Limiter
	touches *touches
	routes  []Route
}

// New makes a guard. What it writes down behind requests goes on when ctx ends, until
// [Guard.Close].
func New(ctx context.Context, cfg Config) (*Guard, error) {
	switch {
	case cfg.Store == nil || cfg.Pages == nil:
		return nil, errors.New("access: no store, or no pages")
	case cfg.SessionIdle <= 0 || cfg.SessionLifetime <= 0 || cfg.Requests <= 0 || cfg.FailedLogins <= 0:
		return nil, errors.New("access: durations and limits must be positive")
	case cfg.Anonymous != grant.None && cfg.Anonymous != Viewer:
		return nil, errors.New("access: anonymous may be nothing but viewer")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RecheckEvery <= 0 {
		cfg.RecheckEvery = recheckEvery
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	g := &Guard{
		cfg: cfg, proxies: cfg.Proxies, parser: newParser(), cross: http.NewCrossOriginProtection(),
		requests: newLimiter(rate.Limit(cfg.Requests), 2*cfg.Requests),
		failures: newLimiter(rate.Limit(float64(cfg.FailedLogins)/60), cfg.FailedLogins),
		written:  rate.NewLimiter(rate.Every(10*time.Second), 100),
	}
	if cfg.ConsoleURL != "" {
		u, err := url.Parse(cfg.ConsoleURL)
		if err != nil {
			return nil, fmt.Errorf("access: URL of the console: %w", err)
		}
		g.outside = u
		// A proxy may hand on another Host than the browser's.
		if err := g.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("access: URL of the console: %w", err)
		}
	}
	g.touches = newTouches(context.WithoutCancel(ctx), cfg.Store, cfg.Log)
	return g, nil
}

// Close waits for what is still being written down.
func (g *Guard) Close(ctx context.Context) error { return g.touches.close(ctx) }

// maxForm bounds the body of a form of ours.
const maxForm = 16 << 10

// protect is a route's handler behind the guard.
func (g *Guard) protect(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := g.origin(w, r)
		ctx := withOrigin(r.Context(), origin)
		r = r.WithContext(ctx)
		a := answer{g: g, w: w, r: r, kind: route.Kind}
		_, bearer := bearerOf(r)
		// Nothing but a program of ours puts a token there; cookies come by themselves.
		if !bearer {
			if err := g.cross.Check(r); err != nil {
				a.crossOrigin(err)
				return
			}
		}
		if route.Open() {
			if wait := g.requests.take(addressKey(origin.Remote), g.cfg.Now()); wait > 0 {
				a.tooMany(wait)
				return
			}
			route.Handler.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Authorization, Cookie")
		p, err := g.identify(r, g.touches)
		if err != nil {
			a.failed(err)
			return
		}
		key := p.ID
		if !p.Known() {
			key = addressKey(origin.Remote)
		}
		if wait := g.requests.take(key, g.cfg.Now()); wait > 0 {
			a.tooMany(wait)
			return
		}
		switch {
		case p.May(route.Role, route.Scope):
			r = r.WithContext(With(ctx, p))
			if route.Lasting {
				g.serveLasting(w, r, &route)
				return
			}
			route.Handler.ServeHTTP(w, r)
		case p.Known():
			a.forbidden(p, &route)
		default:
			a.unknown()
		}
	})
}

// origin finds out where a request comes from.
func (g *Guard) origin(w http.ResponseWriter, r *http.Request) Origin {
	addr, tls := g.proxies.client(r)
	o := Origin{Request: w.Header().Get("X-Request-Id"), Secure: tls || onThisMachine(r.Host)}
	if addr.IsValid() {
		o.Remote = addr.String()
	}
	// Where the console is said to be reached by TLS, a proxy takes it off.
	if g.outside != nil && g.outside.Scheme == "https" && strings.EqualFold(r.Host, g.outside.Host) {
		o.Secure = true
	}
	return o
}

// bearerOf returns the credentials of an Authorization header of the scheme Bearer (RFC
// 6750, section 2.1), and whether there is one. Those of other schemes are for somebody
// else, such as a proxy in front; a browser sends them by itself, as it does cookies.
func bearerOf(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// badTokenError says that a token is none, or none any more.
type badTokenError struct {
	// id is that of the token, "" when it has none.
	id, why string
}

func (e *badTokenError) Error() string { return "token: " + e.why }

// identify finds out who makes a request. A token that is presented and does not hold is
// an error; a session that is over is nobody. That it was used goes to noted,
// which may be nil.
func (g *Guard) identify(r *http.Request, noted *touches) (Principal, error) {
	if token, ok := bearerOf(r); ok {
		t, err := g.lookUp(r.Context(), token, noted)
		if err != nil {
			return Principal{}, err
		}
		return Principal{ID: "token:" + t.ID, Name: t.Name, Role: t.Role, Scopes: t.Scopes, Via: ViaToken}, nil
	}
	p, ok, err := g.session(r, noted)
	if err != nil || ok {
		return p, err
	}
	p = Principal{Name: "anonymous", Role: g.cfg.Anonymous, Via: ViaAnonymous}
	if p.Role > grant.None {
		p.Scopes = []grant.Scope{grant.Read}
	}
	return p, nil
}

// lookUp returns the token that is presented, if it holds, and notes that it was used.
func (g *Guard) lookUp(ctx context.Context, presented string, noted *touches) (grant.Token, error) {
	id, ok := g.parser.id(presented)
	if !ok {
		return grant.Token{}, &badTokenError{why: "not of the form of a token"}
	}
	t, ok, err := g.cfg.Store.Token(ctx, id)
	if err != nil {
		return grant.Token{}, err
	}
	now := g.cfg.Now()
	switch {
	case !ok:
		return grant.Token{}, &badTokenError{id, "unknown"}
	case !belongs(presented, &t):
		return grant.Token{}, &badTokenError{id, "wrong secret"}
	case !t.Revoked.IsZero():
		return grant.Token{}, &badTokenError{id, "revoked"}
	case !t.Valid(now):
		return grant.Token{}, &badTokenError{id, "expired"}
	}
	if noted != nil && now.Sub(t.LastUsed) >= touchEvery {
		noted.token(t.ID, now)
	}
	return t, nil
}
