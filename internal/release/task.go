package release

// Step is a step of the tally that runs as a job.
type Step string

// The steps, in the order in which one leads to the next.
const (
	// StepDiscover looks at a repository.
	StepDiscover Step = "discover"
	// StepIngest looks at the papers of an image.
	StepIngest Step = "ingest"
	// StepSync fetches the advisories of an ecosystem.
	StepSync Step = "sync"
	// StepJudge judges the images that a wave touched.
	StepJudge Step = "judge"
	// StepNotify delivers a message.
	StepNotify Step = "notify"
)

// Task is a step with what it is about. A task that waits already is not queued
// again.
type Task struct {
	Step       Step
	Repository string // of discover and ingest
	Digest     Digest // of ingest
	Ecosystem  string // of sync
	Wave       int64  // of judge
	Delivery   string // of notify
}
