package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Kind is the form of message that a target takes.
type Kind string

const (
	// KindWebhook takes the notice as signed JSON.
	KindWebhook Kind = "webhook"
	// KindSlack takes the message for people of Slack's incoming webhooks.
	KindSlack Kind = "slack"
)

// Target is where messages go.
type Target struct {
	// ID stays the same as long as kind and URL do. It names the host and does
	// not tell the rest of the URL, so that it may be stored and logged.
	ID   string
	Kind Kind
	url  *url.URL
}

// newTarget never quotes the URL in an error.
func newTarget(kind Kind, address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.Fragment != "" {
		return Target{}, fmt.Errorf("%s: expected an http or https URL with a host, and without a user or a fragment", kind)
	}
	sum := sha256.Sum256([]byte(string(kind) + " " + address))
	return Target{ID: fmt.Sprintf("%s:%s:%s", kind, u.Host, hex.EncodeToString(sum[:8])), Kind: kind, url: u}, nil
}

// newTargets returns the targets of all addresses, each once.
func newTargets(cfg Config) ([]Target, error) {
	var targets []Target
	var mistakes []error
	seen := map[string]bool{}
	add := func(kind Kind, addresses []string) {
		for i, address := range addresses {
			t, err := newTarget(kind, address)
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("target %d of %w", i+1, err))
			} else if !seen[t.ID] {
				seen[t.ID] = true
				targets = append(targets, t)
			}
		}
	}
	add(KindWebhook, cfg.Webhooks)
	add(KindSlack, cfg.Slack)
	return targets, errors.Join(mistakes...)
}

// Format implements fmt.Formatter, so that no verb reaches the URL.
func (t Target) Format(f fmt.State, _ rune) {
	// A failed write is the concern of whoever owns the writer behind f.
	_, _ = f.Write([]byte(t.ID))
}

// redacted stands where a part of an address would be.
const redacted = "REDACTED"

// scrub takes out of a text whatever of the address may be secret: all of it but
// the host.
func (t Target) scrub(text string) string {
	secrets := []string{t.url.String(), t.url.RequestURI(), t.url.EscapedPath(), t.url.Path, t.url.RawQuery}
	secrets = append(secrets, strings.Split(t.url.EscapedPath(), "/")...)
	for _, values := range t.url.Query() {
		secrets = append(secrets, values...)
	}
	for _, secret := range secrets {
		// A shorter part is a word of any text, and no token.
		const least = 8
		if len(secret) >= least {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}
