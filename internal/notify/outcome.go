package notify

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// State is what became of a delivery.
type State string

const (
	// Delivered: the target took it.
	Delivered State = "delivered"
	// Retry: the attempt failed, and another may not.
	Retry State = "retry"
	// Dead: it was not delivered, and never will be.
	Dead State = "dead"
)

// Outcome is that of one attempt.
type Outcome struct {
	State State
	// RetryAt is when to try again, in [Retry] alone.
	RetryAt time.Time
	// Reason says what happened, in one line that holds no secret. It is empty when
	// the message was delivered.
	Reason string
}

const (
	// firstWait and longestWait bound the time between two attempts, which doubles.
	firstWait   = 10 * time.Second
	longestWait = time.Hour
	// keepFor is how long a message is worth sending. Some 30 attempts fit into it.
	keepFor = 24 * time.Hour
	// mostAttempts ends what a clock that was set back would make endless.
	mostAttempts = 40
)

// result is what one attempt came to, before it is known whether there is to be
// another.
type result struct {
	delivered bool
	// final: the next attempt would end in the same way.
	final bool
	// interrupted: it is not the target that failed.
	interrupted bool
	// after is how long the target asked to be left alone.
	after  time.Duration
	reason string
}

// settle turns a result into an outcome.
func (s *Sender) settle(r result, attempt int, created, now time.Time) Outcome {
	switch {
	case r.delivered:
		return Outcome{State: Delivered}
	case r.final:
		return Outcome{State: Dead, Reason: r.reason}
	case r.interrupted:
		return Outcome{State: Retry, RetryAt: now, Reason: r.reason}
	case attempt >= mostAttempts:
		return Outcome{State: Dead, Reason: fmt.Sprintf("given up after %d attempts: %s", attempt, r.reason)}
	}
	retryAt := now.Add(max(r.after, s.wait(attempt)))
	if retryAt.Sub(created) > keepFor {
		return Outcome{State: Dead, Reason: fmt.Sprintf("given up, because the next attempt would come later than %s after the first: %s", keepFor, r.reason)}
	}
	return Outcome{State: Retry, RetryAt: retryAt, Reason: r.reason}
}

// wait is the time to the attempt after this one: doubled each time, and up to
// a quarter longer, so that messages which failed together do not come back
// together.
func (s *Sender) wait(attempt int) time.Duration {
	d := firstWait
	for i := 1; i < attempt && d < longestWait; i++ {
		d *= 2
	}
	d = min(d, longestWait)
	return d + time.Duration(s.jitter()*float64(d/4))
}

// answered is the result of an answer (Standard Webhooks 1.0.0, "Delivery success
// and failure").
func answered(t Target, answer *http.Response, body []byte, now time.Time) result {
	code := answer.StatusCode
	reason := fmt.Sprintf("expected a status of 200 to 299, found %d", code)
	if text := http.StatusText(code); text != "" {
		reason += " " + text
	}
	switch {
	case code >= 200 && code <= 299:
		return result{delivered: true}
	case code >= 300 && code <= 399:
		return result{final: true, reason: reason + "; redirects are not followed, so configure the address that they lead to"}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return result{after: retryAfter(answer.Header.Get("Retry-After"), now), reason: reason}
	}
	if t.Kind == KindSlack {
		reason += slackError(t, body)
	}
	return result{final: true, reason: reason}
}

// slackWord is the form of Slack's error codes, such as invalid_blocks. Nothing
// else of a body is repeated: it may quote the address.
var slackWord = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

func slackError(t Target, body []byte) string {
	const longest = 40
	word := strings.TrimSpace(string(body))
	if len(word) > longest || !slackWord.MatchString(word) || strings.Contains(t.url.String(), word) {
		return ""
	}
	return ": " + word
}

// retryAfter understands both forms of the header (RFC 9110, section 10.2.3); 0
// when it asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	// longest is beyond all that would be waited for.
	const longest = 7 * 24 * time.Hour
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}
