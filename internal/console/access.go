package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// SignIn shows the page that asks who it is. It is part of [access.Pages].
func (c *Console) SignIn(w http.ResponseWriter, r *http.Request, status int, s access.SignIn) {
	c.form(w, r, status, signInPage(c.apart(r, "Sign in"), s))
}

// Tokens shows the page of tokens. It is part of [access.Pages].
func (c *Console) Tokens(w http.ResponseWriter, r *http.Request, status int, l access.TokenList) {
	c.form(w, r, status, tokensPage(c.titled(r, "Tokens"), l))
}

// Audit shows the audit log. It is part of [access.Pages].
func (c *Console) Audit(w http.ResponseWriter, r *http.Request, status int, l access.AuditLog) {
	c.form(w, r, status, auditPage(c.titled(r, "Audit log"), l))
}

// Refuse shows why something is not done. It is part of [access.Pages].
func (c *Console) Refuse(w http.ResponseWriter, r *http.Request, status int, refusal access.Refusal) {
	p := c.titled(r, refusal.Title)
	p.Apart = !reads(r.Context())
	c.form(w, r, status, refusalPage(p, refusal))
}

// reads reports whether who asks may look at pages at all.
func reads(ctx context.Context) bool { return access.Of(ctx).May(access.Viewer, grant.Read) }

// rescans reports whether somebody may ask for another look.
func rescans(p access.Principal) bool { return p.May(access.Operator, grant.Rescan) }

// manages reports whether somebody may make tokens.
func manages(p access.Principal) bool { return p.May(access.Operator, grant.Tokens) }

// reviews reports whether somebody may read the audit log.
func reviews(p access.Principal) bool { return p.May(access.Auditor, grant.Read) }

// orNone is text, or a dash where there is none.
func orNone(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// roleMeaning says in a few words what a role may do.
func roleMeaning(r access.Role) string {
	switch r {
	case access.Viewer:
		return "reads everything but the audit log"
	case access.Auditor:
		return "reads the audit log as well"
	case access.Operator:
		return "changes things as well"
	}
	return "nothing"
}

// scopeMeaning says in a few words what a scope is for.
func scopeMeaning(s grant.Scope) string {
	switch s {
	case grant.Read:
		return "read what the role may see"
	case grant.Rescan:
		return "have a release looked at again"
	case grant.Upload:
		return "hand in SBOMs"
	case grant.Tokens:
		return "make, list and revoke tokens"
	}
	return ""
}

// tokenRow is a token as the page shows it.
type tokenRow struct {
	ID, Name, Role, Scopes, MadeBy string
	Made, Ends                     moment
	Used                           *moment
	Holds                          bool
	// Over says why it does not hold.
	Over string
}

func newTokenRows(l access.TokenList) []tokenRow {
	rows := make([]tokenRow, len(l.Tokens))
	for i := range l.Tokens {
		t := &l.Tokens[i]
		at := func(when time.Time) moment { return newMoment(when, l.Now) }
		rows[i] = tokenRow{
			ID: t.ID, Name: t.Name, Role: t.Role.String(), Scopes: strings.ReplaceAll(grant.FormatScopes(t.Scopes), " ", ", "), MadeBy: t.MadeBy,
			Made: at(t.Made), Ends: at(t.Expires), Holds: t.Valid(l.Now), Over: "Expired",
		}
		if !t.LastUsed.IsZero() {
			used := at(t.LastUsed)
			rows[i].Used = &used
		}
		if !t.Revoked.IsZero() {
			rows[i].Over = "Revoked"
		}
	}
	return rows
}
