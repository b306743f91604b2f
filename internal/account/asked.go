package account

import "time"

// JobState says what becomes of a job that somebody waits for.
type JobState string

const (
	// JobNone: no job waits or runs.
	JobNone JobState = ""
	// JobWaiting: it waits for its turn.
	JobWaiting JobState = "waiting"
	// JobRunning: a worker does it.
	JobRunning JobState = "running"
	// JobRetrying: it failed, and is tried again.
	JobRetrying JobState = "retrying"
)

// Asked is the latest request for a look at an image, or at a repository, and what came
// of it. Times are zero for what has not happened.
type Asked struct {
	// At is zero when nobody asked.
	At time.Time
	By string
	// TakenAt is when a worker queued it, and Job what became of that.
	TakenAt time.Time
	Job     JobState
	// LookedAt is when the latest look was: before At, it is not the one that was asked
	// for.
	LookedAt time.Time
	// Judging: something that touched the image is not judged yet. Never of a repository.
	Judging bool
	// JudgedAt is when the latest verdict was reached that differed from the one before.
	JudgedAt time.Time
	// Workers counts the processes that are alive.
	Workers int
}

// AskedState is how far what somebody asked for is.
type AskedState string

// States in the order in which they are reached. Of those of a look, a repository has
// AskedLooked, and an image what follows it.
const (
	// AskedNever: nobody asked.
	AskedNever AskedState = "none"
	// AskedUnserved: no worker is alive to take it.
	AskedUnserved AskedState = "unserved"
	// AskedWaiting: no worker has taken it yet.
	AskedWaiting AskedState = "waiting"
	// AskedQueued: it was taken, and waits for its turn.
	AskedQueued AskedState = "queued"
	// AskedRunning: it is being looked at.
	AskedRunning AskedState = "running"
	// AskedRetrying: it could not be found out, and is tried again.
	AskedRetrying AskedState = "retrying"
	// AskedLost: no job waits or runs, and the latest look is from before.
	AskedLost AskedState = "lost"
	// AskedLooked: the repository was looked at.
	AskedLooked AskedState = "looked"
	// AskedJudging: the image was looked at, and is being judged.
	AskedJudging AskedState = "judging"
	// AskedUnchanged: the image was looked at, and its verdict stands.
	AskedUnchanged AskedState = "unchanged"
	// AskedChanged: the image was looked at, and the verdict or its counts changed.
	AskedChanged AskedState = "changed"
)

// Ended reports whether nothing more comes of it.
func (s AskedState) Ended() bool {
	switch s {
	case AskedNever, AskedLost, AskedLooked, AskedUnchanged, AskedChanged:
		return true
	default:
		return false
	}
}

// State is how far a request is for a look at an image, or at a repository.
func (a *Asked) State(image bool) AskedState {
	switch {
	case a.At.IsZero():
		return AskedNever
	case a.TakenAt.IsZero() && a.Workers == 0:
		return AskedUnserved
	case a.TakenAt.IsZero():
		return AskedWaiting
	case a.LookedAt.After(a.At):
		return a.cameOf(image)
	}
	switch a.Job {
	case JobRunning:
		return AskedRunning
	case JobRetrying:
		return AskedRetrying
	case JobWaiting:
		return AskedQueued
	default:
		return AskedLost
	}
}

func (a *Asked) cameOf(image bool) AskedState {
	switch {
	case !image:
		return AskedLooked
	case a.Judging:
		return AskedJudging
	case a.JudgedAt.After(a.At):
		return AskedChanged
	default:
		return AskedUnchanged
	}
}
