package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says whom to tell, and how.
type Config struct {
	// Webhooks and Slack are the URLs of the targets.
	Webhooks, Slack []string
	// Secret signs what goes to Webhooks: whsec_ and 24 to 64 bytes in base64. It
	// may be empty where there are none.
	Secret string
	// ConsoleURL is where the console is seen from outside; "" leaves out links.
	ConsoleURL string
	// UserAgent names the program and its version.
	UserAgent string
	// Transport connects. It is where addresses are refused that must not be
	// reached. [http.DefaultTransport] when nil, without keeping connections.
	Transport http.RoundTripper
	// Refused tells whether an error of Transport is its refusal to connect, which
	// the next attempt would meet again. nil for a transport that never refuses.
	Refused func(error) bool
	// Timeout bounds one attempt; 10 seconds when zero.
	Timeout time.Duration
	// Jitter returns a number from 0 up to 1 that spreads attempts; random when nil.
	Jitter func() float64
}

// Sender composes and sends messages. It is safe for concurrent use.
type Sender struct {
	client     http.Client
	targets    []Target
	key        []byte
	consoleURL string
	userAgent  string
	timeout    time.Duration
	refused    func(error) bool
	jitter     func() float64
}

const defaultTimeout = 10 * time.Second

// New returns a sender. The error has every mistake in the configuration, and
// nothing of what is secret in it.
func New(cfg Config) (*Sender, error) {
	s := &Sender{
		userAgent: cfg.UserAgent, consoleURL: strings.TrimRight(cfg.ConsoleURL, "/"),
		timeout: cfg.Timeout, refused: cfg.Refused, jitter: cfg.Jitter,
	}
	var err, secretErr error
	s.targets, err = newTargets(cfg)
	if len(cfg.Webhooks) > 0 || cfg.Secret != "" {
		s.key, secretErr = parseSecret(cfg.Secret)
	}
	if err := errors.Join(err, secretErr); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	s.client.Transport = cfg.Transport
	if cfg.Transport == nil {
		transport, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, fmt.Errorf("notify: expected net/http's own default transport, found %T", http.DefaultTransport)
		}
		// Waves are rare; a connection kept open would only grow stale.
		transport = transport.Clone()
		transport.DisableKeepAlives = true
		s.client.Transport = transport
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	if s.refused == nil {
		s.refused = func(error) bool { return false }
	}
	if s.jitter == nil {
		s.jitter = rand.Float64
	}
	return s, nil
}

// Targets are those that messages are composed for.
func (s *Sender) Targets() []Target { return append([]Target(nil), s.targets...) }

// Delivery is one message to one target, to be kept until its outcome is final.
type Delivery struct {
	// ID is that of the notice. It stays the same on each attempt.
	ID string
	// Target is the [Target.ID] of where it goes.
	Target string
	// Body is sent as it is.
	Body []byte
}

// Send makes one attempt at a delivery. attempt counts from 1, created is when
// the delivery was composed, and now the time of the attempt. It returns within
// the timeout, or when ctx ends.
func (s *Sender) Send(ctx context.Context, d Delivery, attempt int, created, now time.Time) Outcome {
	for _, t := range s.targets {
		if t.ID == d.Target {
			return s.settle(s.try(ctx, t, d, now), attempt, created, now)
		}
	}
	return Outcome{State: Dead, Reason: "its target is no longer configured"}
}

// answerLimit bounds what is read of an answer. Its body matters little; reading
// it to its end lets the connection be used again.
const answerLimit = 16 << 10

func (s *Sender) try(ctx context.Context, t Target, d Delivery, now time.Time) result {
	attemptCtx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := s.request(attemptCtx, t, d, now)
	if err != nil {
		return result{final: true, reason: "the request cannot be made"}
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return s.failed(ctx, t, err)
	}
	defer answer.Body.Close()
	// The status has said all that counts; what cannot be read is not needed.
	body, _ := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	return answered(t, answer, body, now)
}

func (s *Sender) request(ctx context.Context, t Target, d Delivery, now time.Time) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.userAgent)
	if t.Kind == KindWebhook {
		timestamp := strconv.FormatInt(now.Unix(), 10)
		request.Header.Set(HeaderID, d.ID)
		request.Header.Set(HeaderTimestamp, timestamp)
		request.Header.Set(HeaderSignature, sign(s.key, d.ID, timestamp, d.Body))
	}
	return request, nil
}

// failed is the result of an attempt without an answer.
func (s *Sender) failed(ctx context.Context, t Target, err error) result {
	// [url.Error] quotes the whole URL; what it wraps says what happened.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case ctx.Err() != nil:
		return result{interrupted: true, reason: "interrupted"}
	case errors.Is(err, context.DeadlineExceeded):
		return result{reason: fmt.Sprintf("no answer within %s", s.timeout)}
	}
	return result{final: s.refused(err), reason: oneLine(t.scrub(err.Error()))}
}

// oneLine is a text for a log or a table, without control characters and not
// without end.
func oneLine(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
