package access

import (
	"net/http"
	"time"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Pages shows what people see of access; *console.Console implements it.
type Pages interface {
	// SignIn asks who it is.
	SignIn(w http.ResponseWriter, r *http.Request, status int, page SignIn)
	// Tokens lists tokens, and shows the one that was just made.
	Tokens(w http.ResponseWriter, r *http.Request, status int, page TokenList)
	// Audit lists the audit log.
	Audit(w http.ResponseWriter, r *http.Request, status int, page AuditLog)
	// Refuse says why something is not done.
	Refuse(w http.ResponseWriter, r *http.Request, status int, page Refusal)
}

// SignIn is what is shown to who has to sign in.
type SignIn struct {
	// Next is the path to go to afterwards.
	Next string
	// OIDC is the path that signs in with OpenID Connect, "" when that is not configured.
	OIDC string
	// Problem says why the last attempt failed.
	Problem string
	// Insecure says that the browser would not keep the cookie, because it came without
	// TLS from another machine. There is no use in a form then.
	Insecure bool
	// CookieLost says that somebody signed in and the browser did not keep the cookie.
	CookieLost bool
}

// TokenList is what is shown of tokens.
type TokenList struct {
	Tokens []grant.Token
	Now    time.Time
	// Next is the path of the page behind this one, "" when it is the last.
	Next string
	// Roles and Scopes are those that may be given.
	Roles  []Role
	Scopes []grant.Scope
	// Form is what was asked for, to be put right.
	Form NewToken
	// Problem says what is wrong with it.
	Problem string
	// Made is the token that was just made, and Secret all of it: this is the only time
	// that it is shown.
	Made   *grant.Token
	Secret string
}

// AuditLog is what is shown of the audit log.
type AuditLog struct {
	Entries []grant.Entry
	Now     time.Time
	// Next is the path of the page behind this one, "" when it is the last.
	Next string
}

// Refusal is what is shown instead of what was asked for.
type Refusal struct {
	Title, Detail string
}
