package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	token   = "T0/B0/hunter2hunter2"
	private = "https://hooks.example:8443/services/" + token + "?key=hunter2hunter2"
)

func TestATargetIsKnownByAnIDThatTellsNoSecret(t *testing.T) {
	t.Parallel()
	targets := sender(t, Config{Webhooks: []string{private, private, "http://127.0.0.1/"}, Slack: []string{private}}).Targets()
	if len(targets) != 3 || targets[0].ID == targets[2].ID {
		t.Fatalf("targets: got %v, want 3", targets)
	}
	again := sender(t, Config{Webhooks: []string{private}}).Targets()
	if targets[0].ID != again[0].ID || !strings.HasPrefix(targets[0].ID, "webhook:hooks.example:8443:") {
		t.Errorf("id: got %s and %s", targets[0].ID, again[0].ID)
	}
	asJSON, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(asJSON)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, targets), fmt.Sprintf(verb, targets[0]), fmt.Sprintf(verb, &targets[0]))
	}
	for _, text := range texts {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) || strings.Contains(text, "B0") {
			t.Errorf("the target tells its address: %s", text)
		}
	}
}

func TestMistakesInAConfigurationTellNoSecret(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		Webhooks: []string{"https://ok.example/", "ftp://x/hunter2", "https://u:hunter2@x/"},
		Slack:    []string{"://hunter2", "https://x/#hunter2"},
		Secret:   "hunter2",
	})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("New: got %v, want an error without the secret", err)
	}
	for _, want := range []string{"target 2 of webhook", "target 3 of webhook", "target 1 of slack", "target 2 of slack", "secret: expected whsec_"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: want %q in\n%v", want, err)
		}
	}
	if _, err := New(Config{Slack: []string{private}}); err != nil {
		t.Errorf("New without webhooks: got %v, want no need of a secret", err)
	}
}

// However a transport words its failure, the address is not part of the reason.
func TestNoFailureTellsTheAddress(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"dial " + private + ": no route",
		"malformed HTTP response \"404 /services/" + token + "?key=hunter2hunter2\"",
		"unknown token hunter2hunter2\nsecond line",
	} {
		s := sender(t, Config{Webhooks: []string{private}, Transport: refusing{errors.New(text)}})
		got := s.Send(t.Context(), delivery(t, s), 1, began(), began())
		if got.State != Retry || strings.Contains(got.Reason, "hunter2") || strings.Contains(got.Reason, "\n") || !strings.Contains(got.Reason, redacted) {
			t.Errorf("outcome of %q: got %+v", text, got)
		}
	}
}

// FuzzRetryAfter feeds any header. No wait may be negative or without end.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "120", "-1", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, began()); d < 0 || d > 7*24*time.Hour {
			t.Errorf("retryAfter(%q): got %s", header, d)
		}
		answer := &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {header}}}
		if r := answered(Target{Kind: KindWebhook}, answer, nil, began()); r.delivered || r.final {
			t.Errorf("answered: got %+v", r)
		}
	})
}
