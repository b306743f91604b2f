package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// queue counts the jobs.
type queue struct {
	Waiting, Running, Retrying, Failed string
	Workers                            int
	// State is bad or unknown where nothing works on it.
	State state
}

func newQueue(q account.Queue) queue {
	v := queue{
		Waiting: grouped(int64(q.Waiting)), Running: grouped(int64(q.Running)),
		Retrying: grouped(int64(q.Retrying)), Failed: grouped(int64(q.Failed)), Workers: q.Workers,
		State: state{Class: "known", Word: plural(q.Workers, "worker") + " alive"},
	}
	if q.Workers == 0 {
		v.State = state{Class: "unknown", Word: "No worker", Reason: "no worker is alive, so nothing is looked at or judged"}
	}
	return v
}

// jobs are what is being done, and what was done last.
type jobs struct {
	Running []job
	Ended   []job
}

// job is a job and how far it is.
type job struct {
	Step    string
	Subject string
	State   state
	// Done and Total are for a progress bar; Total is empty while nobody knows.
	Done, Total string
	Says        string
	Note        string
	Updated     *moment
	Started     *moment
	Took        string
}

// mostEnded is how many of the jobs that have ended are shown.
const mostEnded = 20

// lostAfter is when a job that said nothing is taken for lost: its worker may be gone.
const lostAfter = 15 * time.Minute

func newJobs(all []ledger.Progress, now time.Time) jobs {
	var v jobs
	for i := range all {
		one := newJob(&all[i], now)
		switch {
		case !all[i].Ended:
			v.Running = append(v.Running, one)
		case len(v.Ended) < mostEnded:
			v.Ended = append(v.Ended, one)
		}
	}
	return v
}

func newJob(j *ledger.Progress, now time.Time) job {
	v := job{
		Step: stepWords(j.Step), Subject: j.Subject, Note: j.Note,
		Updated: optional(j.UpdatedAt, now), Started: optional(j.StartedAt, now),
		Done: strconv.FormatInt(j.Done, 10), Says: grouped(j.Done),
	}
	if j.Total > 0 {
		v.Total = strconv.FormatInt(j.Total, 10)
		v.Says = fmt.Sprintf("%s of %s, %d %%", grouped(j.Done), grouped(j.Total), 100*j.Done/j.Total)
	}
	switch {
	case j.Failure != "":
		v.State = state{Class: "bad", Word: "Failed", Reason: j.Failure}
	case j.Ended:
		v.State = state{Class: "known", Word: "Done"}
	case now.Sub(j.UpdatedAt) > lostAfter:
		v.State = state{Class: "unknown", Word: "Unknown", Reason: "said nothing for " + age(now.Sub(j.UpdatedAt)) + "; its worker may be gone"}
	default:
		v.State = state{Class: "running", Word: "Running"}
	}
	if j.Ended && !j.StartedAt.IsZero() {
		v.Took = took(j.UpdatedAt.Sub(j.StartedAt))
	}
	return v
}

// stepWords say what a step does.
func stepWords(s release.Step) string {
	switch s {
	case release.StepDiscover:
		return "Look at repository"
	case release.StepIngest:
		return "Look at papers"
	case release.StepSync:
		return "Fetch advisories"
	case release.StepJudge:
		return "Judge releases"
	case release.StepNotify:
		return "Deliver message"
	case release.StepDossier:
		return "Make dossier"
	default:
		return string(s)
	}
}

// waveLine is something that came in, and what it did.
type waveLine struct {
	ID, URL  string
	Cause    string
	Origin   string
	At       moment
	State    state
	Images   string
	New      figure
	Gone     figure
	Changed  string
	Verdicts figure
	// JudgedAfter is how long it took until all that it touched was judged.
	JudgedAfter string
}

func newWave(w *account.Wave, p *page) waveLine {
	id := strconv.FormatInt(w.ID, 10)
	v := waveLine{
		ID: id, URL: waveURL(id), Cause: causeWords(w.Cause), Origin: w.Origin, At: newMoment(w.At, p.at),
		Images: grouped(int64(w.Images)), New: count(w.New), Gone: count(w.Gone), Changed: grouped(int64(w.Changed)), Verdicts: count(w.Verdicts),
		State: state{Class: "known", Word: "Judged"},
	}
	if !w.Judged {
		v.State = state{Class: "running", Word: "Being judged"}
		v.Verdicts = unknownFigure("not all that it touched was judged yet")
	} else if !w.JudgedAt.IsZero() {
		v.JudgedAfter = took(max(0, w.JudgedAt.Sub(w.At)))
	}
	return v
}

// activityView is what came in and what is being done.
type activityView struct {
	Queue queue
	Jobs  jobs
	Waves []waveLine
	When  column
	Pager pager
}

func (c *Console) activity(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	s := c.cfg.Store
	waves, err := s.Activity(ctx, p.q.inTime(listPart, "at"))
	if err != nil {
		return nil, fmt.Errorf("read activity: %w", err)
	}
	now, err := c.readNow(ctx)
	if err != nil {
		return nil, err
	}
	p.Title, p.Section = "Activity", "/activity"
	v := &activityView{Queue: newQueue(now.queue), Jobs: newJobs(now.progress, p.at), When: p.q.inTimeColumn("When", "at"), Pager: pagerOf(p.q, len(waves.Items), waves.Next, waves.Total, "event")}
	for i := range waves.Items {
		v.Waves = append(v.Waves, newWave(&waves.Items[i], p))
	}
	return activityContent(p, v), nil
}

// waveView is a wave with what it did.
type waveView struct {
	waveLine
	Findings []findingChange
	Verdicts []verdictChange
	Evidence []evidenceMove
	// The pagers are of the lists of the same name.
	FindingsPager, VerdictsPager, EvidencePager pager
}

type findingChange struct {
	ID, URL  string
	Change   string
	Severity severity
	PURLs    []string
	Fixed    []string
	Releases string
}

type verdictChange struct {
	Repository, Version, URL string
	Before, After            state
	Reasons                  []string
}

type evidenceMove struct {
	Repository, Version, URL string
	Kind                     string
	Before, After            state
	Reason                   string
}

func (c *Console) wave(ctx context.Context, r *http.Request, p *page) (templ.Component, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("wave %q: %w", r.PathValue("id"), errNoPage)
	}
	part := func(list string) account.Page {
		return account.Page{After: p.q.values.Get(afterIn(list)), Limit: wavePart}
	}
	found, err := c.cfg.Store.WaveDetail(ctx, id, account.WavePages{Findings: part("findings"), Verdicts: part("verdicts"), Evidence: part("evidence")})
	if err != nil {
		return nil, fmt.Errorf("read wave: %w", err)
	}
	v := &waveView{
		waveLine:      newWave(&found.Wave, p),
		FindingsPager: pagerIn(p.q, "findings", len(found.Findings.Items), found.Findings.Next, found.Findings.Total, "change"),
		VerdictsPager: pagerIn(p.q, "verdicts", len(found.Changes.Items), found.Changes.Next, found.Changes.Total, "change"),
		EvidencePager: pagerIn(p.q, "evidence", len(found.Evidence.Items), found.Evidence.Next, found.Evidence.Total, "change"),
	}
	for _, f := range found.Findings.Items {
		v.Findings = append(v.Findings, findingChange{
			ID: f.ID, URL: advisoryURL(f.ID), Change: string(f.Change), Severity: newSeverity(account.Severity{Level: f.Severity}),
			PURLs: f.PURLs, Fixed: f.Fixed, Releases: grouped(int64(f.Releases)),
		})
	}
	for _, ch := range found.Changes.Items {
		one := verdictChange{
			Repository: ch.Repository, Version: ch.Version, URL: changeURL(ch.Repository, ch.Version, ch.Digest),
			Before: resultState(release.Result(ch.Before)), After: resultState(release.Result(ch.After)), Reasons: ch.Reasons,
		}
		if ch.Before == "" {
			one.Before = state{Class: "absent", Word: "Not judged"}
		}
		v.Verdicts = append(v.Verdicts, one)
	}
	for _, e := range found.Evidence.Items {
		v.Evidence = append(v.Evidence, evidenceMove{
			Repository: e.Repository, Version: e.Version, URL: changeURL(e.Repository, e.Version, ""), Kind: kindName(e.Kind),
			Before: evidenceState(e.Before), After: evidenceState(e.After), Reason: e.Reason,
		})
	}
	p.Title, p.Section = v.Cause+": "+v.Origin, "/activity"
	return waveContent(p, v), nil
}

// changeURL leads to a release by its version, or its digest where it has none.
func changeURL(repository, version string, digest release.Digest) string {
	switch {
	case version != "":
		return releaseURL(repository, version)
	case digest != "":
		return releaseURL(repository, string(digest))
	default:
		return componentURL(repository)
	}
}
