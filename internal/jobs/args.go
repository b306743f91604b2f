package jobs

import (
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tallyman-io/tallyman/internal/release"
)

// The queues. A step that takes long does not keep others waiting.
const (
	// queueRegistry is for steps that ask registries.
	queueRegistry = river.QueueDefault
	// queueAdvisories is for fetching feeds, one at a time: it takes memory.
	queueAdvisories = "advisories"
	queueVerdicts   = "verdicts"
	queueMessages   = "messages"
	// queueDossiers is for making dossiers, one at a time.
	queueDossiers = "dossiers"
)

// once allows one job for equal arguments at a time: while one waits, runs or is to
// be retried, another is not queued.
func once(queue string) river.InsertOpts {
	return river.InsertOpts{Queue: queue, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		},
	}}
}

// discoverArgs is one look at one repository.
type discoverArgs struct {
	Repository string `json:"repository" river:"unique"`
}

// Kind names the job in the database.
func (discoverArgs) Kind() string { return string(release.StepDiscover) }

// InsertOpts says where and how often it may wait.
func (discoverArgs) InsertOpts() river.InsertOpts { return once(queueRegistry) }

// ingestArgs is one look at the papers of an image.
type ingestArgs struct {
	Repository string         `json:"repository" river:"unique"`
	Digest     release.Digest `json:"digest" river:"unique"`
}

// Kind names the job in the database.
func (ingestArgs) Kind() string { return string(release.StepIngest) }

// InsertOpts says where and how often it may wait.
func (ingestArgs) InsertOpts() river.InsertOpts { return once(queueRegistry) }

// syncArgs fetches the advisories of an ecosystem.
type syncArgs struct {
	Ecosystem string `json:"ecosystem" river:"unique"`
}

// Kind names the job in the database.
func (syncArgs) Kind() string { return string(release.StepSync) }

// InsertOpts says where and how often it may wait.
func (syncArgs) InsertOpts() river.InsertOpts { return once(queueAdvisories) }

// judgeArgs judges what a wave touched.
type judgeArgs struct {
	Wave int64 `json:"wave" river:"unique"`
}

// Kind names the job in the database.
func (judgeArgs) Kind() string { return string(release.StepJudge) }

// InsertOpts says where and how often it may wait.
func (judgeArgs) InsertOpts() river.InsertOpts { return once(queueVerdicts) }

// notifyArgs delivers a message.
type notifyArgs struct {
	Delivery string `json:"delivery" river:"unique"`
}

// Kind names the job in the database.
func (notifyArgs) Kind() string { return string(release.StepNotify) }

// InsertOpts says where and how often it may wait.
func (notifyArgs) InsertOpts() river.InsertOpts { return once(queueMessages) }

// dossierArgs makes the dossier of an image that somebody asked for.
type dossierArgs struct {
	Repository string         `json:"repository" river:"unique"`
	Digest     release.Digest `json:"digest" river:"unique"`
}

// Kind names the job in the database.
func (dossierArgs) Kind() string { return string(release.StepDossier) }

// InsertOpts says where and how often it may wait.
func (dossierArgs) InsertOpts() river.InsertOpts { return once(queueDossiers) }

// dutyArgs queues what is due: see [tally.Tally.Duty].
type dutyArgs struct{}

// Kind names the job in the database.
func (dutyArgs) Kind() string { return "duty" }

// InsertOpts says where and how often it may wait.
func (dutyArgs) InsertOpts() river.InsertOpts { return once(queueVerdicts) }

// argsOf returns the job of a task.
func argsOf(t release.Task) (river.JobArgs, error) {
	switch t.Step {
	case release.StepDiscover:
		return discoverArgs{t.Repository}, nil
	case release.StepIngest:
		return ingestArgs{t.Repository, t.Digest}, nil
	case release.StepSync:
		return syncArgs{t.Ecosystem}, nil
	case release.StepJudge:
		return judgeArgs{t.Wave}, nil
	case release.StepNotify:
		return notifyArgs{t.Delivery}, nil
	case release.StepDossier:
		return dossierArgs{t.Repository, t.Digest}, nil
	default:
		return nil, fmt.Errorf("no job for step %q", t.Step)
	}
}
