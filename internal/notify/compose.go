package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// EventType is the type of every webhook (Standard Webhooks 1.0.0, "Payload
// structure" and "Event types").
const EventType = "tallyman.notice"

// noticeID is what may be signed as an id: a full stop would let a part of it
// pass for the timestamp (the same, "Signature scheme").
var noticeID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// Compose makes the messages of a notice, one for each target. They are bounded,
// whatever the notice holds; see [release.Notice.Bounded].
func (s *Sender) Compose(n release.Notice) ([]Delivery, error) {
	if !noticeID.MatchString(n.ID) {
		return nil, fmt.Errorf("compose notice: id %q: expected 1 to 100 letters, digits, underscores and hyphens", n.ID)
	}
	n = n.Bounded()
	deliveries := make([]Delivery, 0, len(s.targets))
	bodies := map[Kind][]byte{}
	for _, t := range s.targets {
		if bodies[t.Kind] == nil {
			body, err := s.body(t.Kind, n)
			if err != nil {
				return nil, fmt.Errorf("compose notice %s for %s: %w", n.ID, t, err)
			}
			bodies[t.Kind] = body
		}
		deliveries = append(deliveries, Delivery{ID: n.ID, Target: t.ID, Body: bodies[t.Kind]})
	}
	return deliveries, nil
}

func (s *Sender) body(kind Kind, n release.Notice) ([]byte, error) {
	switch kind {
	case KindWebhook:
		return encode(event{Type: EventType, Timestamp: n.At, Data: n})
	case KindSlack:
		return encode(s.slack(n))
	}
	return nil, fmt.Errorf("kind %q: expected %s or %s", kind, KindWebhook, KindSlack)
}

// event is the body of a webhook.
type event struct {
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Data      release.Notice `json:"data"`
}

// encode is JSON without the escapes that HTML would need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
