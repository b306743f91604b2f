// Package tally is the flow. Each step leads to the next by what it writes down:
//
//	Discover(repository) → Ingest(image) ┐
//	Sync(advisories) ────────────────────┴→ match → Judge(wave) → Notify(message)
//
// Matching happens where packages and advisories are stored, in the transaction that
// stores them. Every step may be run again, by another process, after any failure: what
// was done is not done twice.
//
// It reaches registries, feeds, targets and the database through the small interfaces
// that it declares here.
package tally

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// Registry is what the tally reads; *registry.Client implements it.
type Registry interface {
	// Tags returns the tags of a repository.
	Tags(ctx context.Context, repository string) ([]string, error)
	// Resolve returns the digest that a tag names now.
	Resolve(ctx context.Context, repository, tag string) (release.Digest, error)
	// Describe reads the image that a tag or a digest names.
	Describe(ctx context.Context, repository, tagOrDigest string) (registry.Image, error)
}

// Looks is where it writes down what repositories hold.
type Looks interface {
	// Watch records which repositories are looked at, and how often.
	Watch(ctx context.Context, repositories []string, every time.Duration) error
	// Images returns the digests of the images that are known in a repository.
	Images(ctx context.Context, repository string) ([]release.Digest, error)
	// RecordLook writes down a look and what it saw, all or nothing, queues what it
	// leads to, and returns the tags that moved.
	RecordLook(ctx context.Context, look release.Look, seen release.Sighting) ([]release.Move, error)
}

// Papers is where it writes down what papers say.
type Papers interface {
	RecordExamination(ctx context.Context, found ledger.Examined) error
	DocumentContent(ctx context.Context, digest release.Digest) ([]byte, error)
	// Uploads returns the SBOMs that people handed in for an image.
	Uploads(ctx context.Context, repository string, digest release.Digest) ([]ledger.Upload, error)
}

// Advisories is where it keeps advisories, and findings with them.
type Advisories interface {
	Feeds(ctx context.Context) ([]ledger.Feed, error)
	Ecosystems(ctx context.Context) ([]string, error)
	KnownDigests(ctx context.Context, ecosystem string) (map[string]string, error)
	ApplyAdvisories(ctx context.Context, ecosystem string, records []ledger.Published) (ledger.Applied, error)
	DropAdvisories(ctx context.Context, ecosystem string, ids []string) (ledger.Applied, error)
	Sync(ctx context.Context, changes ledger.Changes) (ledger.Applied, error)
	FinishSync(ctx context.Context, f ledger.Feed) error
	Coverage(ctx context.Context) (advisory.Coverage, []ledger.Feed, error)
	FindingsAsOf(ctx context.Context, c *ledger.Case, at time.Time) ([]ledger.Package, error)
}

// Waves is where it reads what was touched, and writes down what that led to.
type Waves interface {
	Wave(ctx context.Context, id int64) (ledger.Wave, error)
	Cases(ctx context.Context, wave int64, after *ledger.Case) ([]ledger.Case, error)
	RecordVerdicts(ctx context.Context, wave int64, judged []ledger.Judged) error
	WaveVerdicts(ctx context.Context, wave int64, p account.Page) (account.List[release.VerdictChange], error)
	WaveFindings(ctx context.Context, wave int64, p account.Page) (account.List[release.FindingChange], error)
	WaveEvidence(ctx context.Context, wave int64, p account.Page) (account.List[release.EvidenceChange], error)
	WaveMoves(ctx context.Context, wave int64) ([]release.Move, error)
	CloseWave(ctx context.Context, wave int64, messages []ledger.Message) (bool, error)
	RejudgeOld(ctx context.Context, policy string, every time.Duration) error
}

// Tasks is where it queues, and notes how far it is.
type Tasks interface {
	Queue(ctx context.Context, tasks ...release.Task) error
	EnqueueDue(ctx context.Context, repositories []string, evidence time.Duration) (int, error)
	// TakeRequests queues what people asked for, and returns how many requests there were.
	TakeRequests(ctx context.Context) (int, error)
	RecordProgress(ctx context.Context, p ledger.Progress) error
	// ForgetProgress removes the progress of jobs that ended a while ago.
	ForgetProgress(ctx context.Context) error
	Message(ctx context.Context, id string) (ledger.Message, bool, error)
	RecordAttempt(ctx context.Context, a ledger.Attempt) error
}

// Ledger is where the tally is kept; *store.Ledger implements it.
type Ledger interface {
	Looks
	Papers
	Advisories
	Waves
	Binder
	Tasks
}

// Config holds what a [Tally] works with. All fields are needed, except that a
// nil Now is time.Now.
type Config struct {
	// Repositories are the only ones that are ever contacted.
	Repositories []string
	Registry     Registry
	Examiner     Examiner
	// EvidenceEvery is how old the latest look at the papers of a release may grow.
	EvidenceEvery time.Duration
	Feeds         Feeds
	// Source names where Feeds come from; empty when none are fetched.
	Source string
	// Ecosystems are the feeds to fetch; those that packages need when empty.
	Ecosystems []string
	// AdvisoriesEvery is how often each feed is fetched.
	AdvisoriesEvery time.Duration
	Policy          Policy
	// Rules is the digest of policy and VEX files together. When it is another than
	// before, everything is judged again; that of the policy when empty.
	Rules string
	// VEX are statements from files, which hold for every image that they name.
	VEX []vex.Document
	// Dossiers says how dossiers are made that people ask for.
	Dossiers  Dossiers
	Messenger Messenger
	Ledger    Ledger
	Log       zerolog.Logger
	Now       func() time.Time
}

// Tally runs the steps. It is safe for concurrent use.
type Tally struct{ cfg Config }

// New returns a tally. It touches neither registry nor store.
func New(cfg Config) *Tally {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Repositories = slices.Clone(cfg.Repositories)
	if cfg.Rules == "" && cfg.Policy != nil {
		cfg.Rules = cfg.Policy.Digest()
	}
	return &Tally{cfg: cfg}
}

func (t *Tally) now() time.Time { return t.cfg.Now() }

// ErrNotConfigured is returned for a repository that is not in Config: its job may
// be left over from an earlier configuration.
var ErrNotConfigured = errors.New("repository is not configured")

// Register tells the store which repositories are looked at from now on, and how
// often.
func (t *Tally) Register(ctx context.Context, every time.Duration) error {
	if err := t.cfg.Ledger.Watch(ctx, t.cfg.Repositories, every); err != nil {
		return fmt.Errorf("register repositories: %w", err)
	}
	return nil
}
