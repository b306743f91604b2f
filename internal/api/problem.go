package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/account"
)

// problemType is the media type of every error (RFC 9457).
const problemType = "application/problem+json"

// problem is an answer that says what is wrong (RFC 9457, section 3).
type problem struct {
	Type     string    `json:"type" required:"false" doc:"What kind of problem it is, a URI that does not change." example:"urn:tallyman:problem:not-found"`
	Title    string    `json:"title" doc:"The kind, for people."`
	Status   int       `json:"status"`
	Detail   string    `json:"detail" doc:"What, where, what was expected and what was found."`
	Instance string    `json:"instance" required:"false" doc:"The id of the request; the log of the service has it too."`
	Errors   []mistake `json:"errors" required:"false" doc:"Each mistake of the request."`
	Choices  []choice  `json:"choices" required:"false" doc:"What there is to choose from, where a choice is missing or wrong."`

	// retryAfter is in seconds, 0 for never.
	retryAfter int
}

// mistake is one thing that is wrong with a request.
type mistake struct {
	Where    string `json:"where" example:"query.limit"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// choice is a document that can be asked for.
type choice struct {
	Platform  string `json:"platform"`
	Format    string `json:"format"`
	Digest    string `json:"digest"`
	MediaType string `json:"media_type"`
	Verified  bool   `json:"verified"`
	Signer    string `json:"signer"`
}

// Error is the detail.
func (p *problem) Error() string { return p.Detail }

// The kinds of problems, by the last part of their URI.
const (
	kindRequest       = "invalid-request"
	kindNotFound      = "not-found"
	kindUnknownDigest = "unknown-digest"
	kindChoice        = "choice-needed"
	kindTooLarge      = "too-large"
	kindMedia         = "unsupported-media-type"
	kindDocument      = "invalid-document"
	kindMethod        = "method-not-allowed"
	kindAttested      = "attested"
	kindNotWatched    = "not-watched"
	kindMaking        = "being-made"
	kindUnknownSender = "unknown-sender"
	kindTooMany       = "too-many-requests"
	kindUnavailable   = "unavailable"
)

func newProblem(status int, kind, title, detail string, mistakes ...mistake) *problem {
	return &problem{
		Type: "urn:tallyman:problem:" + kind, Title: title, Status: status, Detail: detail,
		Errors: append([]mistake{}, mistakes...), Choices: []choice{},
	}
}

// invalid is a request that cannot be understood.
func invalid(mistakes ...mistake) *problem {
	detail := "the request is not as described"
	if len(mistakes) > 0 {
		m := mistakes[0]
		detail = fmt.Sprintf("%s: expected %s, found %s", m.Where, m.Expected, m.Found)
	}
	return newProblem(http.StatusBadRequest, kindRequest, "The request is not as described", detail, mistakes...)
}

// notFound says that the tally has no such thing.
func notFound(what, where, found string) *problem {
	m := mistake{Where: where, Expected: "a " + what + " that the tally knows", Found: quoted(found)}
	return newProblem(http.StatusNotFound, kindNotFound, "Not found", fmt.Sprintf("%s: no %s %s is known", where, what, m.Found), m)
}

// tooLarge says that a body has more than so many bytes.
func tooLarge(most int64) *problem {
	m := mistake{"body", fmt.Sprintf("at most %d bytes", most), "more"}
	return newProblem(http.StatusRequestEntityTooLarge, kindTooLarge, "Too large", m.Where+": expected "+m.Expected+", found "+m.Found, m)
}

// quoted is a text of a client, short enough to be told back.
func quoted(text string) string {
	const most = 200
	if len(text) > most {
		return fmt.Sprintf("%.*q…", most, text)
	}
	return fmt.Sprintf("%q", text)
}

// retrySeconds is how long a client is asked to wait when the store cannot be read.
const retrySeconds = 10

// problemOf says what an error is to a client. A failure of the store is logged here, and
// nowhere else. It is nil when nobody waits for the answer.
func (a *API) problemOf(ctx context.Context, operation string, err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, account.ErrCursor):
		return invalid(mistake{"query.cursor", "a cursor that this list gave", "another text"})
	case errors.Is(err, account.ErrNotFound):
		return newProblem(http.StatusNotFound, kindNotFound, "Not found", "the tally knows nothing of that name")
	case errors.Is(ctx.Err(), context.Canceled):
		return nil
	}
	zerolog.Ctx(ctx).Error().Err(err).Str("operation", operation).Msg("store cannot be read")
	p = newProblem(http.StatusServiceUnavailable, kindUnavailable, "Unavailable",
		fmt.Sprintf("the store: expected an answer, found a failure, which the log of the service tells; try again in %d s", retrySeconds))
	p.retryAfter = retrySeconds
	return p
}
