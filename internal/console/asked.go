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
	if a.At.IsZero() {
		return request{Says: "Nobody asked for another look.", Done: true}
	}
	done := func(word string) state { return state{Class: "good", Word: word} }
	waits := state{Class: "absent", Word: "Waits"}
	asked := step{"Asked for by " + a.By, done("Done"), optional(a.At, now)}
	taken := step{"Taken by a worker", waits, optional(a.TakenAt, now)}
	looked := step{"Papers looked at", waits, nil}
	if s.Digest == "" {
		looked.Name = "Repository looked at"
	}
	judged := step{"Judged", waits, nil}
	v := request{Says: "Waiting for a worker to take it"}
	switch {
	case a.TakenAt.IsZero() && a.Workers == 0:
		taken.State = state{Class: "unknown", Word: "Unknown", Reason: "no worker is alive, so nobody takes it"}
		v.Says = "No worker is alive, so nobody takes it"
	case a.TakenAt.IsZero():
	default:
		taken.State = done("Done")
		v.lookedAt(a, &looked, now)
	}
	v.Steps = []step{asked, taken, looked}
	if s.Digest == "" {
		v.Done = v.Done || looked.State.Class == "good"
		return v
	}
	if looked.State.Class == "good" {
		v.judged(a, &judged, now)
	}
	v.Steps = append(v.Steps, judged)
	return v
}

func (v *request) lookedAt(a *account.Asked, s *step, now time.Time) {
	switch {
	case a.LookedAt.After(a.At):
		s.State, s.At = state{Class: "good", Word: "Done"}, optional(a.LookedAt, now)
		v.Says = "Looked at"
	case a.Job == account.JobRunning:
		s.State = state{Class: "running", Word: "Running"}
		v.Says = "Being looked at"
	case a.Job == account.JobRetrying:
		s.State = state{Class: "unknown", Word: "Unknown", Reason: "it could not be found out, and is tried again"}
		v.Says = "To be tried again"
	case a.Job == account.JobWaiting:
		v.Says = "Waiting for its turn"
	default:
		s.State = state{Class: "unknown", Word: "Unknown", Reason: "no job waits or runs, and the latest look is from before; the worker's log says why"}
		v.Says, v.Done = "Ended without another look", true
	}
}

func (v *request) judged(a *account.Asked, s *step, now time.Time) {
	switch {
	case a.Judging:
		s.State = state{Class: "running", Word: "Running"}
		v.Says = "Being judged"
	case a.JudgedAt.After(a.At):
		s.State, s.At = state{Class: "good", Word: "Done"}, optional(a.JudgedAt, now)
		v.Says, v.Done = "Judged: the verdict or its counts changed", true
	default:
		s.State = state{Class: "good", Word: "Nothing changed"}
		v.Says, v.Done = "Looked at: nothing changed, so the verdict stands", true
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
