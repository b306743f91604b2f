package account

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Data is what is known of the advisory data.
type Data struct {
	Feeds []ledger.Feed
	// Oldest is when the oldest of the feeds was last known to be complete. Zero when
	// there is no feed, or one never was.
	Oldest time.Time
}

// Advisory is an advisory in lists.
type Advisory struct {
	ID        string
	Ecosystem string
	Aliases   []string
	Summary   string
	Severity  Severity
	Published time.Time
	Modified  time.Time
	Withdrawn time.Time
	FirstSeen time.Time
	// GoneAt is when its feed no longer had it.
	GoneAt time.Time
	// Packages counts the packages that it is found in now, Images the images that ship
	// them; -1 when they were not counted.
	Packages, Images int
}

// AdvisoryQuery chooses advisories.
type AdvisoryQuery struct {
	// Ecosystem and Severity are empty for all.
	Ecosystem string
	Severity  string
	// Found: only those that are found in a package.
	Found bool
	// Sort is modified (the default), published, both with the newest first, or id; a minus
	// before it reverses.
	Sort string
}

// AdvisoryDetail is an advisory with all that is kept of it.
type AdvisoryDetail struct {
	Advisory
	// Raw is the record as the feed has it, JSON.
	Raw []byte
	// Versions are the versions of the record that were seen, newest first.
	Versions []AdvisoryVersion
}

// AdvisoryVersion is a version of a record.
type AdvisoryVersion struct {
	FirstSeen time.Time
	Modified  time.Time
	Withdrawn time.Time
	// Until is when another took its place. Zero for the one that counts.
	Until time.Time
}

// Wave is something that came in, and what it did.
type Wave struct {
	ledger.Wave
	SealedAt, JudgedAt time.Time
	// Images counts what it touched; Findings those that are new, gone or changed;
	// Verdicts the results that it changed.
	Images    int
	New, Gone int
	Changed   int
	Verdicts  int
}

// WaveDetail is a wave with parts of the lists of what it did.
type WaveDetail struct {
	Wave
	Findings List[release.FindingChange]
	Changes  List[release.VerdictChange]
	Evidence List[release.EvidenceChange]
}

// WavePages are the parts of the lists of what a wave did that are asked for.
type WavePages struct{ Findings, Verdicts, Evidence Page }

// Queue counts the jobs by state.
type Queue struct {
	Waiting, Running, Retrying, Failed int
	// Workers counts the processes that are alive.
	Workers int
}

// Request is something that a person asks the worker for.
type Request struct {
	// Step is discover, ingest or dossier.
	Step       release.Step
	Repository string
	Digest     release.Digest
	// By names who asks.
	By string
}

// Upload is an SBOM that somebody hands in for an image whose registry cannot hold it.
type Upload struct {
	Repository string
	// Digest is that of the image, Subject the manifest that the SBOM is about.
	Digest  release.Digest
	Subject release.Digest
	Content []byte
	By      string
}

// Announcement is a registry that tells of a push to repositories.
type Announcement struct {
	Repositories []string
	// By names the registry.
	By string
}
