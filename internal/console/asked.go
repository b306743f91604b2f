package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// subject is what somebody follows: an image, or a repository where there is no digest.
type subject struct {
	Repository string
	Digest     release.Digest
}

// events is where what was asked for of a subject is told.
func (s subject) events() string {
	return withQuery("/activity/events", "repository", s.Repository, "digest", string(s.Digest))
}

// subjectOf reads what a request wants to follow: nothing is everything.
func subjectOf(r *http.Request) (s subject, all bool, err error) {
	s.Repository = r.URL.Query().Get("repository")
	if text := r.URL.Query().Get("digest"); text != "" {
		if s.Digest, err = release.ParseDigest(text); err != nil {
			return s, false, fmt.Errorf("digest: %w", err)
		}
	}
	return s, s.Repository == "", nil
}

// request is how far what somebody asked for is.
type request struct {
	// Says is how far it is, in a sentence.
	Says  string
	Steps []step
	// Done: nothing more comes of it. URL shows what did.
	Done bool
	URL  string
	// Events is where it goes on.
	Events string
}

// step is one of what has to happen.
type step struct {
	Name  string
	State state
	At    *moment
}

func (c *Console) request(ctx context.Context, s subject) (request, error) {
	a, err := c.cfg.Store.Asked(ctx, s.Repository, s.Digest)
	if err != nil {
		return request{}, fmt.Errorf("read what was asked for: %w", err)
	}
	v := newRequest(&a, s, c.cfg.Now())
	v.Events, v.URL = s.events(), componentURL(s.Repository)
	if s.Digest != "" {
		v.URL = releaseURL(s.Repository, string(s.Digest))
	}
	return v, nil
}

// asked is what was just asked for of what a page shows, nil when nothing was.
func (c *Console) asked(ctx context.Context, p *page, of subject) (*request, error) {
	if p.q.values.Get("asked") == "" {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	v, err := c.request(ctx, of)
	v.URL = p.q.with("asked", "")
	return &v, err
}

func newRequest(a *account.Asked, s subject, now time.Time) request {
	at := a.State(s.Digest != "")
	v := request{Says: saysOf(at), Done: at.Ended()}
	if at == account.AskedNever {
		return v
	}
	done := state{Class: "good", Word: "Done"}
	waits := state{Class: "absent", Word: "Waits"}
	asked := step{"Asked for by " + a.By, done, optional(a.At, now)}
	taken := step{"Taken by a worker", waits, optional(a.TakenAt, now)}
	switch at {
	case account.AskedUnserved:
		taken.State = state{Class: "unknown", Word: "Unknown", Reason: "no worker is alive, so nobody takes it"}
	case account.AskedWaiting:
	default:
		taken.State = done
	}
	looked := step{"Papers looked at", waits, nil}
	if s.Digest == "" {
		looked.Name = "Repository looked at"
	}
	looked.look(at, optional(a.LookedAt, now))
	v.Steps = []step{asked, taken, looked}
	if s.Digest == "" {
		return v
	}
	judged := step{"Judged", waits, nil}
	switch at {
	case account.AskedJudging:
		judged.State = state{Class: "running", Word: "Running"}
	case account.AskedUnchanged:
		judged.State = state{Class: "good", Word: "Nothing changed"}
	case account.AskedChanged:
		judged.State, judged.At = done, optional(a.JudgedAt, now)
	default:
	}
	v.Steps = append(v.Steps, judged)
	return v
}

// look says how far the look is; when is that of the latest.
func (s *step) look(at account.AskedState, when *moment) {
	switch at {
	case account.AskedLooked, account.AskedJudging, account.AskedUnchanged, account.AskedChanged:
		s.State, s.At = state{Class: "good", Word: "Done"}, when
	case account.AskedRunning:
		s.State = state{Class: "running", Word: "Running"}
	case account.AskedRetrying:
		s.State = state{Class: "unknown", Word: "Unknown", Reason: "it could not be found out, and is tried again"}
	case account.AskedLost:
		s.State = state{Class: "unknown", Word: "Unknown", Reason: "no job waits or runs, and the latest look is from before; the worker's log says why"}
	default:
	}
}

// saysOf is how far a request is, in a sentence.
func saysOf(at account.AskedState) string {
	switch at {
	case account.AskedNever:
		return "Nobody asked for another look."
	case account.AskedUnserved:
		return "No worker is alive, so nobody takes it"
	case account.AskedWaiting:
		return "Waiting for a worker to take it"
	case account.AskedQueued:
		return "Waiting for its turn"
	case account.AskedRunning:
		return "Being looked at"
	case account.AskedRetrying:
		return "To be tried again"
	case account.AskedLooked:
		return "Looked at"
	case account.AskedJudging:
		return "Being judged"
	case account.AskedUnchanged:
		return "Looked at: nothing changed, so the verdict stands"
	case account.AskedChanged:
		return "Judged: the verdict or its counts changed"
	default:
		return "Ended without another look"
	}
}

// tellRequest sends how far a request is, when that changed, and reports whether it was
// the last that there is to say.
func (c *Console) tellRequest(ctx context.Context, s *stream, of subject) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	v, err := c.request(ctx, of)
	if err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		c.cfg.Log.Error().Err(err).Msg("store cannot be read")
		return false, s.event("unknown", []byte(unknownProgress))
	}
	var b bytes.Buffer
	if err := requestSteps(v).Render(ctx, &b); err != nil {
		return false, fmt.Errorf("render progress: %w", err)
	}
	kind := "jobs"
	if v.Done {
		kind = "ended"
	}
	return v.Done, s.event(kind, b.Bytes())
}
