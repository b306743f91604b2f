package workbench

import (
	"net/http"
	"strings"
	"sync"
)

// Turnstile stands in front of a registry: it keeps a journal of the manifests
// that were put, and lets a test decide about each request.
type Turnstile struct {
	inner http.Handler

	mu      sync.Mutex
	journal []Put
	decide  func(Request) Verdict
	after   func(Put)
}

// Request is a request to the registry, as the distribution specification
// (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints)
// lays it out.
type Request struct {
	Method     string
	Repository string
	Kind       string // "manifests", "blobs", "tags" or "" for the version check
	Reference  string // tag or digest
}

// Put is a manifest that was stored.
type Put struct{ Repository, Reference string }

// Verdict is what happens to a request: the zero value lets it through.
type Verdict struct {
	Status     int    // answer with this status instead
	RetryAfter string // value of Retry-After beside Status
	Cut        bool   // close the connection without an answer, after reading some of the body
}

// NewTurnstile puts a turnstile in front of inner.
func NewTurnstile(inner http.Handler) *Turnstile { return &Turnstile{inner: inner} }

// Decide sets what is asked about each request; nil lets all through.
func (t *Turnstile) Decide(decide func(Request) Verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.decide = decide
}

// After sets what is told of each manifest that was stored, before its client is.
func (t *Turnstile) After(after func(Put)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = after
}

// Journal lists the manifests that were stored, in order.
func (t *Turnstile) Journal() []Put {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Put(nil), t.journal...)
}

// ServeHTTP implements [http.Handler].
func (t *Turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := parse(r)
	t.mu.Lock()
	var verdict Verdict
	if t.decide != nil {
		verdict = t.decide(request)
	}
	t.mu.Unlock()
	switch {
	case verdict.Cut:
		_, _ = r.Body.Read(make([]byte, 512)) // whatever came is lost with the connection
		panic(http.ErrAbortHandler)
	case verdict.Status != 0:
		if verdict.RetryAfter != "" {
			w.Header().Set("Retry-After", verdict.RetryAfter)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(verdict.Status)
		_, _ = w.Write([]byte(`{"errors":[{"code":"` + code(verdict.Status) + `","message":"by the test"}]}`))
		return
	}
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	t.inner.ServeHTTP(recorder, r)
	if request.Method == http.MethodPut && request.Kind == "manifests" && recorder.status == http.StatusCreated {
		put := Put{request.Repository, request.Reference}
		t.mu.Lock()
		t.journal = append(t.journal, put)
		after := t.after
		t.mu.Unlock()
		if after != nil {
			after(put)
		}
	}
}

func code(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusTooManyRequests:
		return "TOOMANYREQUESTS"
	default:
		return "UNAVAILABLE"
	}
}

func parse(r *http.Request) Request {
	request := Request{Method: r.Method}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, kind := range []string{"manifests", "blobs", "tags"} {
		if repository, reference, ok := strings.Cut(path, "/"+kind+"/"); ok {
			request.Repository, request.Kind, request.Reference = repository, kind, reference
			break
		}
	}
	return request
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
