package service

import (
	"crypto/rand"
	"errors"
	stdlog "log"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/rs/zerolog"
)

// handler is the routes behind the middleware. The order matters: each
// sees what the ones before it put into the context, and the answers of the
// ones behind it.
func (s *server) handler() http.Handler {
	var h http.Handler = http.HandlerFunc(s.route)
	h = secured(h)
	h = recovered(h)
	h = s.observed(h) // outside of recovered, so that a panic is logged as 500
	h = s.identified(h)
	return h
}

const requestIDHeader = "X-Request-Id"

// saneRequestID is an id that may be copied into logs and headers as it is.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// identified gives the request an id, the caller's own if it is sane, and puts
// a logger that carries it into the context.
func (s *server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close") // what is asked next is for another
		}
		id := r.Header.Get(requestIDHeader)
		if !saneRequestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set(requestIDHeader, id)
		log := s.config.Log.With().Str("request", id).Logger()
		next.ServeHTTP(w, r.WithContext(log.WithContext(r.Context())))
	})
}

// observed writes the access log and counts the request.
func (s *server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.config.Now()
		rec := &recorder{ResponseWriter: w}
		// Deferred, because an aborted answer leaves as a panic.
		defer func() {
			took := s.config.Now().Sub(began)
			// The mux puts the pattern into this very request.
			s.metrics.observe(r, rec.code(), took)
			zerolog.Ctx(r.Context()).WithLevel(accessLevel(r)).
				Str("method", shorten(r.Method)).Str("path", shorten(r.URL.Path)).Int("status", rec.code()).
				Int64("bytes", rec.bytes).Dur("milliseconds", took).Msg("request")
		}()
		next.ServeHTTP(rec, r)
	})
}

// accessLevel keeps the platform's probes, which come every few seconds, out of
// the log.
func accessLevel(r *http.Request) zerolog.Level {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}

func shorten(s string) string {
	const most = 512
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// recovered turns a panic into a 500, if nothing has been sent yet, and logs it.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			zerolog.Ctx(r.Context()).Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("handler panicked")
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				// The client must not take what it has for the whole answer.
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "internal error, request "+w.Header().Get(requestIDHeader), http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// securityHeaders are on every answer. The pages bring everything along and
// need no inline code or style, so the policy allows neither.
func securityHeaders() map[string]string {
	return map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	}
}

func secured(next http.Handler) http.Handler {
	headers := securityHeaders()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// recorder notes the status and the size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	// An informational answer is followed by the real one.
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// code is the status that the client got; a handler that sends nothing gets
// net/http to send 200.
func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// errorLog takes what net/http wants to complain about.
func errorLog(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(lineLogger{log}, "", 0)
}

type lineLogger struct{ log zerolog.Logger }

func (l lineLogger) Write(line []byte) (int, error) {
	l.log.Warn().Str("error", strings.TrimSpace(string(line))).Msg("http server")
	return len(line), nil
}
