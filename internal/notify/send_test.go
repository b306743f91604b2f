package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
)

// began is when the messages of these tests are composed.
func began() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// sender is one that never waits longer than it must.
func sender(t *testing.T, cfg Config) *Sender {
	t.Helper()
	if cfg.Secret == "" {
		cfg.Secret = vectorSecret
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func() float64 { return 0 }
	}
	cfg.UserAgent = "tallyman-worker/test"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// delivery is a message to the only target of s.
func delivery(t *testing.T, s *Sender) Delivery {
	t.Helper()
	all, err := s.Compose(release.Notice{ID: "ntc_1", At: began(), Cause: release.NoticeCause{Kind: release.NoticeTag, Text: "A tag moved."}})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("Compose: got %d deliveries, want 1", len(all))
	}
	return all[0]
}

func answering(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAWebhookCanBeVerifiedAndRecognisedWhenItComesAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var headers []http.Header
	var bodies [][]byte
	url := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("request: got %s, %v", r.Method, err)
		}
		mu.Lock()
		defer mu.Unlock()
		headers, bodies = append(headers, r.Header), append(bodies, body)
		if len(bodies) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s := sender(t, Config{Webhooks: []string{url + "/in"}})
	d := delivery(t, s)
	first := s.Send(t.Context(), d, 1, began(), began())
	want := Outcome{State: Retry, RetryAt: began().Add(10 * time.Second), Reason: "expected a status of 200 to 299, found 502 Bad Gateway"}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("first outcome (-want +got):\n%s", diff)
	}
	if second := s.Send(t.Context(), d, 2, began(), first.RetryAt); second != (Outcome{State: Delivered}) {
		t.Errorf("second outcome: got %+v", second)
	}
	for i, at := range []time.Time{began(), first.RetryAt} {
		if err := Verify(vectorSecret, headers[i], bodies[i], at, 0); err != nil {
			t.Errorf("attempt %d: %v", i+1, err)
		}
		if id := headers[i].Get("Webhook-Id"); id != "ntc_1" {
			t.Errorf("attempt %d: got id %q, want ntc_1", i+1, id)
		}
		if agent, kind := headers[i].Get("User-Agent"), headers[i].Get("Content-Type"); agent != "tallyman-worker/test" || kind != "application/json" {
			t.Errorf("attempt %d: got user agent %q and content type %q", i+1, agent, kind)
		}
	}
}

func TestSlackGetsNoSignature(t *testing.T) {
	t.Parallel()
	url := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get(HeaderSignature) != "" || r.Header.Get(HeaderID) != "" {
			t.Errorf("headers: got %v", r.Header)
		}
	})
	s := sender(t, Config{Slack: []string{url}})
	if got := s.Send(t.Context(), delivery(t, s), 1, began(), began()); got.State != Delivered {
		t.Errorf("outcome: got %+v", got)
	}
}

func TestWhatAStatusMeans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		state  State
	}{
		{200, Delivered},
		{202, Delivered},
		{204, Delivered},
		{299, Delivered},
		{300, Dead},
		{301, Dead},
		{302, Dead},
		{304, Dead},
		{307, Dead},
		{308, Dead},
		{400, Dead},
		{401, Dead},
		{403, Dead},
		{404, Dead},
		{410, Dead},
		{413, Dead},
		{422, Dead},
		{408, Retry},
		{425, Retry},
		{429, Retry},
		{500, Retry},
		{501, Retry},
		{502, Retry},
		{503, Retry},
		{504, Retry},
		{599, Retry},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			t.Parallel()
			s := sender(t, Config{Webhooks: []string{answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) })}})
			got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
			if got.State != tt.state {
				t.Errorf("state: got %s, want %s", got.State, tt.state)
			}
			if tt.state != Delivered && !strings.Contains(got.Reason, fmt.Sprintf("found %d", tt.status)) {
				t.Errorf("reason: got %q, want the status in it", got.Reason)
			}
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	other := answering(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := sender(t, Config{Webhooks: []string{answering(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other, status)
		})}})
		got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
		if got.State != Dead || !strings.Contains(got.Reason, "redirects are not followed") {
			t.Errorf("%d: got %+v", status, got)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the other server got %d requests, want 0", n)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) Outcome { return Outcome{State: Retry, RetryAt: began().Add(d)} }
	dead := Outcome{State: Dead}
	tests := []struct {
		name, header string
		want         Outcome
	}{
		{"seconds", "120", at(2 * time.Minute)},
		{"date", began().Add(3 * time.Minute).Format(http.TimeFormat), at(3 * time.Minute)},
		{"shorter than our own wait", "1", at(10 * time.Second)},
		{"date of the past", began().Add(-time.Hour).Format(http.TimeFormat), at(10 * time.Second)},
		{"nothing", "", at(10 * time.Second)},
		{"negative", "-5", at(10 * time.Second)},
		{"nonsense", "soon", at(10 * time.Second)},
		{"as long as the message is kept", "86400", at(24 * time.Hour)},
		{"longer than the message is kept", "86401", dead},
		{"longer than a number goes", "18446744073709551615", dead},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
				s := sender(t, Config{Webhooks: []string{answering(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", tt.header)
					w.WriteHeader(status)
				})}})
				got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
				if got.State != tt.want.State || !got.RetryAt.Equal(tt.want.RetryAt) || got.Reason == "" {
					t.Errorf("%d: got %+v, want %+v", status, got, tt.want)
				}
			}
		})
	}
}

// A target that never answers well is tried until the message is a day old.
func TestAttemptsGrowRarerAndEndAfterADay(t *testing.T) {
	t.Parallel()
	s := sender(t, Config{Slack: []string{answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })}})
	d := delivery(t, s)
	now, waits := began(), []time.Duration(nil)
	for attempt := 1; attempt < 100; attempt++ {
		got := s.Send(t.Context(), d, attempt, began(), now)
		if got.State == Dead {
			if !strings.HasPrefix(got.Reason, "given up, because") || !strings.HasSuffix(got.Reason, "found 500 Internal Server Error") {
				t.Errorf("reason: got %q", got.Reason)
			}
			break
		}
		waits = append(waits, got.RetryAt.Sub(now))
		now = got.RetryAt
	}
	want := []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if age := now.Sub(began()); len(waits) != 31 || age < 23*time.Hour || age > 24*time.Hour {
		t.Errorf("given up after %d attempts and %s, want 32 and about a day", len(waits)+1, age)
	}
	last := s.Send(t.Context(), d, mostAttempts, began(), began())
	if last.State != Dead || !strings.HasPrefix(last.Reason, "given up after 40 attempts: ") {
		t.Errorf("attempt %d: got %+v", mostAttempts, last)
	}
}

func TestJitterSpreadsAttempts(t *testing.T) {
	t.Parallel()
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s := sender(t, Config{Slack: []string{url}, Jitter: func() float64 { return 0.5 }})
	got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
	if wait := got.RetryAt.Sub(began()); wait != 11250*time.Millisecond {
		t.Errorf("wait: got %s, want 11.25s", wait)
	}
}

func TestATargetThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		// Reading to the end lets the server see that the client has gone.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	cut := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
	for name, tt := range map[string]struct{ url, reason string }{
		"silent":  {silent, "no answer within 50ms"},
		"gone":    {gone.URL, "connection refused"},
		"cut off": {cut, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Webhooks: []string{tt.url + "/t0ken-t0ken"}}
			if name == "silent" {
				cfg.Timeout = 50 * time.Millisecond
			}
			s := sender(t, cfg)
			got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
			if got.State != Retry || !strings.Contains(got.Reason, tt.reason) || strings.Contains(got.Reason, "t0ken") {
				t.Errorf("outcome: got %+v, want a retry because of %q", got, tt.reason)
			}
		})
	}
}

func TestAnInterruptedAttemptIsNoFaultOfTheTarget(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := sender(t, Config{Webhooks: []string{answering(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})}})
	got := s.Send(ctx, delivery(t, s), mostAttempts, began(), began().Add(48*time.Hour))
	want := Outcome{State: Retry, RetryAt: began().Add(48 * time.Hour), Reason: "interrupted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	s := sender(t, Config{Webhooks: []string{answering(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})}})
	if got := s.Send(t.Context(), delivery(t, s), 1, began(), began()); got.State != Delivered {
		t.Errorf("outcome: got %+v", got)
	}
}

// refusing is a transport that connects to nothing.
type refusing struct{ err error }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

func TestARefusalToConnectIsFinal(t *testing.T) {
	t.Parallel()
	refusal := errors.New("10.0.0.1 is private")
	s := sender(t, Config{
		Webhooks: []string{"https://hooks.example/t0ken-t0ken"}, Transport: refusing{refusal},
		Refused: func(err error) bool { return errors.Is(err, refusal) },
	})
	got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
	if got.State != Dead || got.Reason != "10.0.0.1 is private" {
		t.Errorf("outcome: got %+v", got)
	}
}

func TestATargetThatIsNoLongerConfigured(t *testing.T) {
	t.Parallel()
	before := sender(t, Config{Webhooks: []string{"https://a.example"}})
	after := sender(t, Config{Webhooks: []string{"https://b.example"}, Transport: refusing{errors.New("not to be reached")}})
	got := after.Send(t.Context(), delivery(t, before), 1, began(), began())
	if got != (Outcome{State: Dead, Reason: "its target is no longer configured"}) {
		t.Errorf("outcome: got %+v", got)
	}
}

func TestSlacksErrorCodesAreToldAndNothingElseOfABody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"invalid_blocks\n":                       "expected a status of 200 to 299, found 400 Bad Request: invalid_blocks",
		"t0ken":                                  "expected a status of 200 to 299, found 400 Bad Request",
		"secretword":                             "expected a status of 200 to 299, found 400 Bad Request",
		"<html>/services/secretword</html>":      "expected a status of 200 to 299, found 400 Bad Request",
		"this_is_far_too_long_for_an_error_code": "expected a status of 200 to 299, found 400 Bad Request: this_is_far_too_long_for_an_error_code",
		strings.Repeat("a", 41):                  "expected a status of 200 to 299, found 400 Bad Request",
	} {
		url := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, body)
		})
		s := sender(t, Config{Slack: []string{url + "/services/secretword"}})
		if got := s.Send(t.Context(), delivery(t, s), 1, began(), began()); got.State != Dead || got.Reason != want {
			t.Errorf("%q: got %+v, want %q", body, got, want)
		}
	}
}
