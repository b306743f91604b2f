package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/tallyman-io/tallyman/internal/outbound"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Error is the failure of one operation against a registry.
type Error struct {
	// Op is what was tried, such as "list tags of ghcr.io/acme/web".
	Op    string
	Cause release.Cause
	// Status is the HTTP status of the answer, 0 when there was none. While a host is
	// left alone it is that of the answer which asked for it.
	Status int
	// RetryAfter is how long the registry asks to be left alone, 0 when it does
	// not say.
	RetryAfter time.Duration
	// Err is the failure underneath.
	Err error
}

// Error says what was tried, the class of the failure and what the registry said.
func (e *Error) Error() string { return e.Op + ": " + e.Reason() }

// Unwrap returns the failure underneath.
func (e *Error) Unwrap() error { return e.Err }

// Reason is the error without the operation, as one sentence for people.
func (e *Error) Reason() string {
	var b strings.Builder
	b.WriteString(string(e.Cause))
	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP %d %s)", e.Status, http.StatusText(e.Status))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", come back in %s", e.RetryAfter.Round(time.Second))
	}
	if said := said(e.Err); said != "" {
		b.WriteString(": ")
		b.WriteString(said)
	}
	return b.String()
}

// maxSaid bounds how much of a registry's own words is repeated, in bytes.
const maxSaid = 300

// said returns the words of the registry, or of the failure underneath when the
// registry had none. The status is left out: Reason gives it.
func said(err error) string {
	var text string
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		parts := make([]string, 0, len(answer.Errors))
		for _, d := range answer.Errors {
			parts = append(parts, strings.Trim(string(d.Code)+": "+d.Message, ": "))
		}
		text = strings.Join(parts, "; ")
	} else if err != nil {
		text = withoutURL(err).Error()
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

// withoutURL drops the URL from the failure of a request: Op says what was tried.
// An error made of several attempts keeps theirs, to tell them apart.
func withoutURL(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if at, ok := e.(*url.Error); ok { //nolint:errorlint // errors.As would look into the attempts
			return at.Err
		}
	}
	return err
}

// errCredentials marks a failure to find credentials on this machine.
var errCredentials = errors.New("credentials cannot be read")

// invalidError marks an answer that came, and is not what was asked for.
type invalidError struct{ error }

func (e invalidError) Unwrap() error { return e.error }

func invalidf(format string, args ...any) error { return invalidError{fmt.Errorf(format, args...)} }

// asFailure is err with the operation, which was refused before anything was sent.
func asFailure(op string, err error) error {
	var refused *outbound.Error
	if errors.As(err, &refused) {
		return &Error{Op: op, Cause: release.CauseNotAllowed, Err: refused}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// classify makes an Error of whatever an operation failed with. A context that
// the caller ended is passed on as it is: that is no failure of the registry.
func classify(ctx context.Context, op string, limits *throttle, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	e := &Error{Op: op, Err: err}
	var (
		answer  *transport.Error
		refused *outbound.Error
		resting *restingError
	)
	switch {
	case errors.As(err, &refused):
		e.Cause, e.Err = release.CauseNotAllowed, refused
	case errors.As(err, &resting):
		e.Cause, e.Err = release.CauseThrottled, resting
		e.Status, e.RetryAfter = resting.status, resting.left
	case errors.As(err, &answer):
		e.Status, e.Cause = answer.StatusCode, causeOf(answer)
		if e.Cause == release.CauseThrottled || e.Cause == release.CauseUnavailable {
			e.RetryAfter = limits.retryAfter()
		}
	case errors.Is(err, errCredentials):
		e.Cause = release.CauseUnauthorized
	case isNetwork(err):
		e.Cause = release.CauseUnavailable
	default:
		// The answer came through, and did not parse, or was not of its digest.
		e.Cause = release.CauseInvalid
	}
	return e
}

// isNetwork reports whether an answer did not come, or not to its end.
func isNetwork(err error) bool {
	var (
		invalid invalidError
		round   *url.Error
		wire    net.Error
	)
	if errors.As(err, &invalid) {
		return false
	}
	return errors.As(err, &round) || errors.As(err, &wire) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func causeOf(answer *transport.Error) release.Cause {
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return release.CauseUnauthorized
	case http.StatusNotFound:
		return release.CauseNotFound
	case http.StatusTooManyRequests:
		return release.CauseThrottled
	}
	// Some registries throttle under another status, with the code of the
	// distribution specification, "Error Codes".
	for _, d := range answer.Errors {
		if d.Code == transport.TooManyRequestsErrorCode {
			return release.CauseThrottled
		}
	}
	if answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusRequestTimeout {
		return release.CauseUnavailable
	}
	return release.CauseInvalid
}
