package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Path is where the handler belongs.
const Path = "/hooks/registry"

const (
	// maxBody bounds a message, in bytes. GitHub's have about 20 KiB.
	maxBody = 1 << 20
	// burst is how many messages are taken at once, and perSecond how many in the
	// long run. A push makes one message, or one for each manifest and tag.
	burst     = 200
	perSecond = 20
)

// Config says what a handler takes and what it does then. All fields but Now are
// needed.
type Config struct {
	// Secret is shared with the registries. While it is empty there is no handler:
	// every request is answered with 404.
	Secret string
	// Repositories are those that may be looked at.
	Repositories []string
	// Discover has one of the Repositories looked at, soon. It is called once for
	// each of them that a message names, and returns before the look is over.
	Discover func(ctx context.Context, repository string) error
	// Now is the clock; the system's when nil.
	Now func() time.Time
}

// Handler takes the messages of registries.
type Handler struct {
	cfg    Config
	secret [sha256.Size]byte

	mu    sync.Mutex
	left  float64
	since time.Time
}

// New returns a handler.
func New(cfg Config) *Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Handler{cfg: cfg, secret: sha256.Sum256([]byte(cfg.Secret)), left: burst, since: cfg.Now()}
}

// ServeHTTP answers 202 to a message that was understood, whether or not a
// repository was looked at for it, and 503 when a look could not be arranged, so
// that the registry sends it again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.cfg.Secret == "" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "expected POST", http.StatusMethodNotAllowed)
		return
	}
	signature := r.Header.Get("X-Hub-Signature-256")
	if signature == "" && !h.knows(r.Header.Get("Authorization")) {
		unauthorized(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, r, err)
		return
	}
	if signature != "" && !h.signed(signature, body) {
		unauthorized(w)
		return
	}
	if !h.turn() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many messages", http.StatusTooManyRequests)
		return
	}
	h.take(w, r, body)
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="hooks"`)
	http.Error(w, "expected the shared secret", http.StatusUnauthorized)
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		status = http.StatusRequestEntityTooLarge
	}
	zerolog.Ctx(r.Context()).Info().Err(err).Msg("registry's message refused")
	http.Error(w, http.StatusText(status), status)
}

// knows reports whether a header has the secret: as a bearer token, as the password
// of whatever user, or alone, which is how Harbor sends its "auth header".
func (h *Handler) knows(authorization string) bool {
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
	return subtle.ConstantTimeCompare(got[:], h.secret[:]) == 1
}

// signed checks a signature as GitHub makes it
// (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
func (h *Handler) signed(signature string, body []byte) bool {
	digits, ok := strings.CutPrefix(signature, "sha256=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(h.cfg.Secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// turn reports whether a message may be taken now.
func (h *Handler) turn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.cfg.Now()
	h.left = min(burst, h.left+max(0, now.Sub(h.since).Seconds())*perSecond)
	h.since = now
	if h.left < 1 {
		return false
	}
	h.left--
	return true
}

func (h *Handler) take(w http.ResponseWriter, r *http.Request, body []byte) {
	form, repositories, err := parse(body)
	if err != nil {
		refuse(w, r, err)
		return
	}
	var known []string
	ignored := 0
	for _, n := range repositories {
		found := h.configured(n)
		if len(found) == 0 {
			ignored++
		}
		known = append(known, found...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	log := zerolog.Ctx(r.Context())
	for _, repository := range known {
		if err := h.cfg.Discover(r.Context(), repository); err != nil {
			log.Error().Err(err).Str("repository", repository).Msg("look not arranged")
			w.Header().Set("Retry-After", "10")
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
	}
	log.Info().Str("form", form).Strs("repositories", known).Int("ignored", ignored).Msg("registry's message taken")
	w.WriteHeader(http.StatusAccepted)
}

// configured returns the repositories that may be meant: the one with that name or,
// where the registry may go by another name, those with that path.
func (h *Handler) configured(n named) []string {
	var paths []string
	for _, repository := range h.cfg.Repositories {
		host, path, _ := strings.Cut(repository, "/")
		if path != n.path {
			continue
		}
		if canonical(host) == canonical(n.host) {
			return []string{repository}
		}
		paths = append(paths, repository)
	}
	if n.sure {
		return nil
	}
	return paths
}

// canonical gives Docker Hub one name.
func canonical(host string) string {
	switch host = strings.ToLower(host); host {
	case "index.docker.io", "registry-1.docker.io":
		return "docker.io"
	default:
		return host
	}
}
