package tally_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// lie answers each request by digest with something else.
func lie(w http.ResponseWriter, r *http.Request) bool {
	if !strings.Contains(r.URL.Path, "/sha256:") {
		return false
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	_, _ = io.WriteString(w, `{"schemaVersion":2,"manifests":[]}`)
	return true
}

// stall answers when the client has left.
func stall(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

func TestARegistryThatMisbehavesLeavesPapersUnknownAndSaysWhy(t *testing.T) {
	t.Parallel()
	const purl = "pkg:golang/example.com/a@v1.5.0"
	tests := map[string]struct {
		fault   registrytest.Fault
		timeout time.Duration
		cause   release.Cause
		reason  string
	}{
		"401":          {fault: registrytest.Status(401), cause: release.CauseUnauthorized, reason: "unauthorized (HTTP 401 Unauthorized)"},
		"403":          {fault: registrytest.Status(403), cause: release.CauseUnauthorized, reason: "unauthorized (HTTP 403 Forbidden)"},
		"404":          {fault: registrytest.Status(404), cause: release.CauseNotFound, reason: "not found"},
		"429":          {fault: registrytest.Status(429, "Retry-After", "60"), cause: release.CauseThrottled, reason: "come back in 1m0s"},
		"500":          {fault: registrytest.Status(500), cause: release.CauseUnavailable, reason: "unavailable (HTTP 500 Internal Server Error)"},
		"503":          {fault: registrytest.Status(503), cause: release.CauseUnavailable, reason: "unavailable (HTTP 503 Service Unavailable)"},
		"cut":          {fault: registrytest.Cut, cause: release.CauseUnavailable, reason: "unexpected EOF"},
		"slow":         {fault: stall, timeout: 300 * time.Millisecond, cause: release.CauseUnavailable, reason: "deadline exceeded"},
		"lying digest": {fault: lie, cause: release.CauseInvalid, reason: "digest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{Timeout: tt.timeout})
			index, platforms := b.Release(t, 1, "v1.0.0")
			b.Seal(t, index, platforms, purl)
			b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), ""))
			b.Look(t)
			again(t, b)
			if c := one(t, b); c.Last.Result != release.ResultPass {
				t.Fatalf("before: got %s %v, want pass", c.Last.Result, failing(c.Last))
			}

			b.Server.Fail(tt.fault)
			b.Advance(90 * time.Minute)
			err := b.Tally.Ingest(t.Context(), b.Repository, index)
			var unknown *tally.UnknownError
			if !errors.As(err, &unknown) || unknown.Cause != tt.cause || !strings.Contains(unknown.Reason, tt.reason) {
				t.Errorf("got error %v, want an UnknownError with cause %s that says %q", err, tt.cause, tt.reason)
			}
			b.Settle(t)
			c := one(t, b)
			if c.Last.Result != release.ResultUnknown {
				t.Errorf("verdict: got %s %v, want unknown", c.Last.Result, failing(c.Last))
			}
			said := slices.ContainsFunc(c.Last.Reasons, func(r release.Reason) bool {
				return r.Result == release.ResultUnknown && strings.Contains(r.Message, tt.reason)
			})
			if !said {
				t.Errorf("reasons: got %+v, want one that says %q", c.Last.Reasons, tt.reason)
			}
			if got := state(c, release.PaperSBOM); got != release.StateUnknown {
				t.Errorf("SBOM: got %s, want unknown", got)
			}

			b.Server.Fail(nil)
			b.Advance(90 * time.Minute)
			again(t, b)
			if c := one(t, b); c.Last.Result != release.ResultPass {
				t.Errorf("well again: got %s %v, want pass", c.Last.Result, failing(c.Last))
			}
		})
	}
}

func TestALookThatIsCancelledWritesNothingDown(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	index, platforms := b.Release(t, 1, "v1.0.0")
	b.Seal(t, index, platforms)
	b.Look(t)
	before := one(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	b.Server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		return stall(w, r)
	})
	b.Advance(90 * time.Minute)
	if err := b.Tally.Ingest(ctx, b.Repository, index); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that it was cancelled", err)
	}
	if after := one(t, b); state(after, release.PaperSignature) != state(before, release.PaperSignature) {
		t.Errorf("signature: got %s, want %s as before", state(after, release.PaperSignature), state(before, release.PaperSignature))
	}
}
