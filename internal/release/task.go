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
	// StepDossier makes a dossier of the papers of an image, for who asked for it.
	StepDossier Step = "dossier"
)

// Task is a step with what it is about. A task that waits already is not queued
// again.
type Task struct {
	Step       Step
	Repository string // of discover, ingest and dossier
	Digest     Digest // of ingest and dossier
	Ecosystem  string // of sync
	Wave       int64  // of judge
	Delivery   string // of notify
}
