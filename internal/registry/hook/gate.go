package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// MaxBody bounds a message, in bytes. GitHub's have about 20 KiB.
const MaxBody = 1 << 20

const (
	// burst is how many messages are taken at once, and perSecond how many in the
	// long run. A push makes one message, or one for each manifest and tag.
	burst     = 200
	perSecond = 20
)

var (
	// ErrClosed says that there is no secret, and so nobody who could be known by it.
	ErrClosed = errors.New("no secret is shared with registries")
	// ErrUnknown says that whoever sent a message does not know the secret.
	ErrUnknown = errors.New("expected the shared secret")
	// ErrTooMany says that there were more messages than are taken.
	ErrTooMany = errors.New("too many messages")
)

// Gate takes the messages of registries, which it knows by a secret that it shares with
// them. It is safe for concurrent use.
type Gate struct {
	secret string
	hash   [sha256.Size]byte
	now    func() time.Time

	mu    sync.Mutex
	left  float64
	since time.Time
}

// NewGate returns a gate for the secret. With none it is closed. A nil now is time.Now.
func NewGate(secret string, now func() time.Time) *Gate {
	if now == nil {
		now = time.Now
	}
	return &Gate{secret: secret, hash: sha256.Sum256([]byte(secret)), now: now, left: burst, since: now()}
}

// Receive reads a message. Its error is one of this package, a [*http.MaxBytesError] when
// there is too much of it, or says that it cannot be understood. Nothing is read for who
// has shown neither the secret nor a signature.
func (g *Gate) Receive(w http.ResponseWriter, r *http.Request) (Message, error) {
	if g.secret == "" {
		return Message{}, ErrClosed
	}
	signature := r.Header.Get("X-Hub-Signature-256")
	if signature == "" && !g.knows(r.Header.Get("Authorization")) {
		return Message{}, ErrUnknown
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return Message{}, err
	}
	if signature != "" && !g.signed(signature, body) {
		return Message{}, ErrUnknown
	}
	if !g.turn() {
		return Message{}, ErrTooMany
	}
	return parse(body)
}

// knows reports whether a header has the secret: as a bearer token, as the password
// of whatever user, or alone, which is how Harbor sends its "auth header".
func (g *Gate) knows(authorization string) bool {
	secret := authorization
	if scheme, token, ok := strings.Cut(authorization, " "); ok {
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			secret = strings.TrimSpace(token)
		case strings.EqualFold(scheme, "Basic"):
			r := http.Request{Header: http.Header{"Authorization": {authorization}}}
			_, secret, _ = r.BasicAuth()
		}
	}
	// Of equal length, so that the comparison tells nothing of the secret's.
	got := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(got[:], g.hash[:]) == 1
}

// signed checks a signature as GitHub makes it
// (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
func (g *Gate) signed(signature string, body []byte) bool {
	digits, ok := strings.CutPrefix(signature, "sha256=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(g.secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// turn reports whether a message may be taken now.
func (g *Gate) turn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.left = min(burst, g.left+max(0, now.Sub(g.since).Seconds())*perSecond)
	g.since = now
	if g.left < 1 {
		return false
	}
	g.left--
	return true
}
