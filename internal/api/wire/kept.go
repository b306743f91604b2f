package wire

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Entry is a line of the audit log.
type Entry struct {
	ID      int64     `json:"id" doc:"Counts up as entries are written."`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor" doc:"The name of who did it."`
	ActorID string    `json:"actor_id"`
	Via     string    `json:"via" doc:"How they came in: token, session, anonymous, hook or system."`
	Action  string    `json:"action" doc:"What was done, such as token.make."`
	Subject string    `json:"subject" doc:"What to."`
	Detail  string    `json:"detail"`
	Remote  string    `json:"remote" doc:"The address that it came from; empty when it was not by a request."`
	Request string    `json:"request" doc:"The id of the request; empty when it was not by one."`
}

// EntryOf converts a line of the audit log.
func EntryOf(e *grant.Entry) Entry {
	return Entry{e.Key, e.At.UTC(), e.Actor, e.ActorID, e.Via, e.Action, e.Subject, e.Detail, e.Remote, e.Request}
}

// Token is an API token without its secret.
type Token struct {
	ID        string     `json:"id" doc:"The part of the token that is no secret."`
	Name      string     `json:"name"`
	Role      string     `json:"role" enum:"viewer,auditor,operator"`
	Scopes    []string   `json:"scopes"`
	MadeBy    string     `json:"made_by"`
	MadeAt    time.Time  `json:"made_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	UsedAt    *time.Time `json:"used_at" doc:"When it was used last, to the minute; null when it never was."`
	RevokedAt *time.Time `json:"revoked_at"`
	Valid     bool       `json:"valid" doc:"It is neither revoked nor expired."`
	Bootstrap bool       `json:"bootstrap" doc:"It is the one that a new database begins with."`
}

// TokenOf converts a token.
func TokenOf(t *grant.Token, now time.Time) Token {
	return Token{
		t.ID, t.Name, t.Role.String(), texts(t.Scopes), t.MadeBy, t.Made.UTC(), t.Expires.UTC(), moment(t.LastUsed), moment(t.Revoked), t.Valid(now), t.Bootstrap,
	}
}

// Setting is a setting of web in force.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value" doc:"Secrets are not shown."`
	Origin string `json:"origin" doc:"Where it was set."`
}
