package hook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Path is where the handler belongs.
const Path = "/hooks/registry"

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
	cfg  Config
	gate *Gate
}

// New returns a handler.
func New(cfg Config) *Handler { return &Handler{cfg: cfg, gate: NewGate(cfg.Secret, cfg.Now)} }

// ServeHTTP answers 202 to a message that was understood, whether or not a
// repository was looked at for it, and 503 when a look could not be arranged, so
// that the registry sends it again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.cfg.Secret != "" && r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "expected POST", http.StatusMethodNotAllowed)
		return
	}
	message, err := h.gate.Receive(w, r)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		h.take(w, r, message)
	case errors.Is(err, ErrClosed):
		http.NotFound(w, r)
	case errors.Is(err, ErrUnknown):
		w.Header().Set("WWW-Authenticate", Challenge)
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, ErrTooMany):
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case errors.As(err, &large):
		refuse(w, r, http.StatusRequestEntityTooLarge, err)
	default:
		refuse(w, r, http.StatusBadRequest, err)
	}
}

// Challenge is the WWW-Authenticate of an answer to who is not known.
const Challenge = `Bearer realm="hooks"`

func refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	zerolog.Ctx(r.Context()).Info().Err(err).Msg("registry's message refused")
	http.Error(w, http.StatusText(status), status)
}

func (h *Handler) take(w http.ResponseWriter, r *http.Request, message Message) {
	known, ignored := message.Among(h.cfg.Repositories)
	log := zerolog.Ctx(r.Context())
	for _, repository := range known {
		if err := h.cfg.Discover(r.Context(), repository); err != nil {
			log.Error().Err(err).Str("repository", repository).Msg("look not arranged")
			w.Header().Set("Retry-After", "10")
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
	}
	log.Info().Str("form", message.Form).Strs("repositories", known).Int("ignored", ignored).Msg("registry's message taken")
	w.WriteHeader(http.StatusAccepted)
}
