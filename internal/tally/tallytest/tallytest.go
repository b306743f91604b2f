// Package tallytest gives tests a tally with all its parts: a registry, papers, a feed of
// advisories, targets of messages, and a store.
package tallytest

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/notify"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
)

// Path is the repository of a bench within its registry.
const Path = "acme/web"

// Secret signs messages.
const Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Bench is a tally and what it works with.
type Bench struct {
	Server     *registrytest.Server
	Repository string
	Key        evidencetest.Key
	// FeedDir has <Ecosystem>/all.zip.
	FeedDir string
	Inbox   *Inbox
	Store   *store.Store
	Ledger  *store.Ledger
	Tally   *tally.Tally
	Log     *Log
	// Waiting are the tasks that were queued, in order; only of a bench without a queue
	// of its own.
	Waiting *Tasks

	mu  sync.Mutex
	now time.Time
}

// Options change a bench.
type Options struct {
	Connections int
	// Queue makes the queue; the tasks are kept in Waiting when nil.
	Queue func(*store.Store) (store.Queue, error)
	// RealTime has the tally take the time of the day, instead of [Bench.Now].
	RealTime bool
	// Policy is the built-in one when nil.
	Policy *policy.Policy
	// FeedDir has the feeds; an empty folder of the bench's own when empty.
	FeedDir string
	// EvidenceEvery is an hour when zero.
	EvidenceEvery time.Duration
	// Timeout is that of one request to the registry; 30 seconds when zero.
	Timeout time.Duration
}

// New makes a bench on a database, with an empty registry and no feed.
func New(t testing.TB, databaseURL string, opts Options) *Bench {
	t.Helper()
	b := &Bench{
		Server: registrytest.New(t), Key: evidencetest.NewKey(t), FeedDir: t.TempDir(), Inbox: NewInbox(t), Log: &Log{},
		Waiting: &Tasks{}, now: time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC),
	}
	b.Repository = b.Server.Repository(Path)
	if opts.FeedDir != "" {
		b.FeedDir = opts.FeedDir
	}
	clock := b.Now
	if opts.RealTime {
		clock = time.Now
	}
	var err error
	if b.Store, err = store.Open(t.Context(), databaseURL, store.Options{MaxConnections: max(opts.Connections, 1), Now: clock, Queue: jobschema.River{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	var queue store.Queue = b.Waiting
	if opts.Queue != nil {
		if queue, err = opts.Queue(b.Store); err != nil {
			t.Fatal(err)
		}
	}
	if b.Ledger, err = store.NewLedger(b.Store, queue); err != nil {
		t.Fatal(err)
	}
	b.Tally = b.newTally(t, opts, clock)
	return b
}

func (b *Bench) newTally(t testing.TB, opts Options, clock func() time.Time) *tally.Tally {
	t.Helper()
	client := registry.New(registry.Config{Timeout: cmp.Or(opts.Timeout, 30*time.Second), Now: clock})
	trust := evidence.Trust{Keys: []evidence.Key{{Name: "release.pub", PEM: b.Key.PEM(t)}}}
	examiner, err := evidence.New(client, evidence.Config{Trust: trust, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	source := "file://" + filepath.ToSlash(b.FeedDir)
	feeds, err := feed.New(feed.Config{Base: source, Dir: t.TempDir(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	judge := opts.Policy
	if judge == nil {
		if judge, err = policy.Default(0); err != nil {
			t.Fatal(err)
		}
	}
	messenger, err := notify.New(notify.Config{Webhooks: []string{b.Inbox.URL}, Secret: Secret, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	every := opts.EvidenceEvery
	if every == 0 {
		every = time.Hour
	}
	return tally.New(tally.Config{
		Repositories: []string{b.Repository}, Registry: client, Examiner: examiner, EvidenceEvery: every,
		Feeds: feeds, Source: source, AdvisoriesEvery: every, Policy: judge, Messenger: messenger,
		Dossiers: tally.Dossiers{Source: client, Trust: trust, Tool: dossier.Tool{Version: "1.2.3", Commit: "unknown"}, Dir: t.TempDir()},
		Ledger:   b.Ledger, Log: zerolog.New(b.Log), Now: clock,
	})
}

// Now is the time of the bench.
func (b *Bench) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// Advance lets time pass.
func (b *Bench) Advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// Release pushes an image of two platforms under tags, and returns the digests of its
// index and of its platforms.
func (b *Bench) Release(t testing.TB, seed int64, tags ...string) (index release.Digest, platforms []release.Digest) {
	t.Helper()
	image := registrytest.Index(t, seed, "c0ffee", "linux/amd64", "linux/arm64")
	manifest, err := image.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		platforms = append(platforms, release.Digest(m.Digest.String()))
	}
	return release.Digest(b.Server.Push(t, Path, image, tags...)), platforms
}

// Seal signs the index and attests an SBOM with the purls to each platform.
func (b *Bench) Seal(t testing.TB, index release.Digest, platforms []release.Digest, purls ...string) {
	t.Helper()
	b.Key.Sign(t, b.Repository, index)
	var packages []release.Package
	for _, purl := range purls {
		name, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:golang/"), "@")
		packages = append(packages, release.Package{PURL: purl, Name: name})
	}
	for _, platform := range platforms {
		b.Key.Attest(t, b.Repository, platform, evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: storetest.SPDX("sbom of "+string(platform), packages)})
	}
}

// Publish makes records all that the feed of an ecosystem has.
func (b *Bench) Publish(t testing.TB, ecosystem string, records ...[]byte) {
	t.Helper()
	Publish(t, b.FeedDir, ecosystem, records...)
}

// Publish makes records all that the feed of an ecosystem has in a folder, at once.
func Publish(t testing.TB, folder, ecosystem string, records ...[]byte) {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for _, raw := range records {
		var record struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(raw, &record); err != nil {
			t.Fatal(err)
		}
		f, err := w.Create(record.ID + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(folder, ecosystem)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, ".all.zip")
	if err := os.WriteFile(temp, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(dir, "all.zip")); err != nil {
		t.Fatal(err)
	}
}

// RemoveFeeds takes all feeds away.
func (b *Bench) RemoveFeeds(t testing.TB) {
	t.Helper()
	dirs, err := os.ReadDir(b.FeedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(filepath.Join(b.FeedDir, dir.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// Settle runs what waits, and what that leads to, until nothing waits. Failures of
// tasks are returned, one for each.
func (b *Bench) Settle(t testing.TB) []error {
	t.Helper()
	return b.SettleAtMost(t, 1000)
}

// SettleAtMost is Settle for more tasks than tests have.
func (b *Bench) SettleAtMost(t testing.TB, tasks int) []error {
	t.Helper()
	var failures []error
	for range tasks {
		task, ok := b.Waiting.take()
		if !ok {
			return failures
		}
		if err := b.Run(t.Context(), task); err != nil {
			failures = append(failures, err)
		}
	}
	t.Fatal("the tasks do not come to an end")
	return nil
}

// Run runs a task.
func (b *Bench) Run(ctx context.Context, task release.Task) error {
	switch task.Step {
	case release.StepDiscover:
		return b.Tally.Discover(ctx, task.Repository)
	case release.StepIngest:
		return b.Tally.Ingest(ctx, task.Repository, task.Digest)
	case release.StepSync:
		return b.Tally.Sync(ctx, task.Ecosystem)
	case release.StepJudge:
		return b.Tally.Judge(ctx, task.Wave)
	case release.StepDossier:
		return b.Tally.Dossier(ctx, task.Repository, task.Digest)
	default:
		return b.Tally.Notify(ctx, task.Delivery)
	}
}

// Look looks at the repository and settles what that leads to.
func (b *Bench) Look(t testing.TB) {
	t.Helper()
	if err := b.Tally.Discover(t.Context(), b.Repository); err != nil {
		t.Fatalf("discover: %v", err)
	}
	for _, err := range b.Settle(t) {
		t.Errorf("task: %v", err)
	}
}

// Tasks is a queue that keeps its tasks, each once.
type Tasks struct {
	mu   sync.Mutex
	all  []release.Task
	wait map[release.Task]bool
}

// Enqueue keeps tasks. It ignores the transaction: tests let none fail on purpose.
func (q *Tasks) Enqueue(_ context.Context, _ *sql.Tx, tasks ...release.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wait == nil {
		q.wait = make(map[release.Task]bool)
	}
	for _, t := range tasks {
		if !q.wait[t] {
			q.all = append(q.all, t)
			q.wait[t] = true
		}
	}
	return nil
}

// Drop forgets the tasks of steps.
func (q *Tasks) Drop(steps ...release.Step) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = slices.DeleteFunc(q.all, func(t release.Task) bool {
		drop := slices.Contains(steps, t.Step)
		if drop {
			delete(q.wait, t)
		}
		return drop
	})
}

func (q *Tasks) take() (release.Task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return release.Task{}, false
	}
	t := q.all[0]
	q.all = q.all[1:]
	delete(q.wait, t)
	return t, true
}

// Inbox is a target of messages.
type Inbox struct {
	URL string

	mu      sync.Mutex
	notices []release.Notice
	ids     map[string]int
}

// NewInbox starts a target of messages.
func NewInbox(t testing.TB) *Inbox {
	t.Helper()
	inbox := &Inbox{ids: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		var event struct {
			Data release.Notice `json:"data"`
		}
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		notice := event.Data
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		inbox.mu.Lock()
		defer inbox.mu.Unlock()
		if inbox.ids[notice.ID]++; inbox.ids[notice.ID] == 1 {
			inbox.notices = append(inbox.notices, notice)
		}
	}))
	t.Cleanup(server.Close)
	inbox.URL = server.URL
	return inbox
}

// Take returns the notices that came since the last time, each once.
func (i *Inbox) Take() []release.Notice {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.notices
	i.notices = nil
	return all
}

// Log keeps what is logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps a line.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p) //nolint:wrapcheck // it does not fail
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
