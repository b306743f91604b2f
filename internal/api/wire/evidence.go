package wire

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Piece is what is known of the papers of one kind about one manifest.
type Piece struct {
	Kind       string     `json:"kind"`
	Subject    string     `json:"subject" doc:"The digest of the manifest."`
	On         string     `json:"on" doc:"index, or the platform."`
	State      string     `json:"state" enum:"verified,invalid,absent,unknown"`
	Reason     string     `json:"reason"`
	Since      *time.Time `json:"since" doc:"When it came to this state."`
	KnownState string     `json:"known_state" doc:"The latest state that was not unknown. Empty when there never was one."`
	KnownAt    *time.Time `json:"known_at"`
	Papers     []Paper    `json:"papers"`
}

// Paper is a signature, an attestation or an attached document.
type Paper struct {
	State         string     `json:"state"`
	Reason        string     `json:"reason"`
	Unsigned      bool       `json:"unsigned"`
	PredicateType string     `json:"predicate_type"`
	Found         []string   `json:"found" doc:"Where it lies."`
	Manifest      string     `json:"manifest"`
	Blob          string     `json:"blob"`
	Signer        string     `json:"signer"`
	SignedAt      *time.Time `json:"signed_at"`
	LogIndex      *int64     `json:"log_index" doc:"Its position in the transparency log; null when there is none."`
	Document      string     `json:"document" doc:"The digest of the document that it carries."`
}

func pieceOf(p *account.Piece) Piece {
	return Piece{
		string(p.Kind), string(p.Subject), p.On, string(p.State), p.Reason, moment(p.Since), string(p.Known), moment(p.KnownAt),
		each(p.Papers, paperOf),
	}
}

func paperOf(p *ledger.Paper) Paper {
	converted := Paper{
		State: string(p.State), Reason: p.Reason, Unsigned: p.Unsigned, PredicateType: p.PredicateType, Found: texts(p.Found),
		Manifest: string(p.Manifest), Blob: string(p.Blob), Signer: p.Signer, SignedAt: moment(p.SignedAt), Document: string(p.Document),
	}
	if p.LogIndex >= 0 {
		converted.LogIndex = &p.LogIndex
	}
	return converted
}

// EvidenceChange is a change of the state of a piece of evidence.
type EvidenceChange struct {
	At      *time.Time `json:"at"`
	Kind    string     `json:"kind"`
	Subject string     `json:"subject"`
	Before  string     `json:"before" doc:"Empty for the first state."`
	After   string     `json:"after"`
	Reason  string     `json:"reason"`
}

// EvidenceChangeOf converts a change of evidence.
func EvidenceChangeOf(c *account.EvidenceChange) EvidenceChange {
	return EvidenceChange{moment(c.At), string(c.Kind), string(c.Subject), string(c.Before), string(c.After), c.Reason}
}

// Document is a document that counts for an image, or was attached to it.
type Document struct {
	Kind         string `json:"kind"`
	Subject      string `json:"subject" doc:"The digest of the manifest that it is about."`
	On           string `json:"on" doc:"index, or the platform."`
	Digest       string `json:"digest"`
	Href         string `json:"href" doc:"Where its bytes are."`
	MediaType    string `json:"media_type"`
	Verified     bool   `json:"verified"`
	Signer       string `json:"signer"`
	Uploaded     string `json:"uploaded_by" doc:"Who handed it in. Empty for one that was found in the registry."`
	Size         int64  `json:"size_bytes"`
	Format       string `json:"format" doc:"Of an SBOM: SPDX or CycloneDX."`
	Version      string `json:"format_version"`
	Packages     *int   `json:"packages" doc:"Of an SBOM that can be read: its packages with a purl."`
	Unidentified *int   `json:"unidentified" doc:"Of an SBOM that can be read: its packages without one."`
	Failure      string `json:"failure" doc:"Why an SBOM cannot be read."`
}

// DocumentOf converts a document.
func DocumentOf(d *account.Document) Document {
	converted := Document{
		Kind: string(d.Kind), Subject: string(d.Subject), On: d.On, Digest: string(d.Digest), Href: DocumentPath(d.Digest), MediaType: MediaType(d),
		Verified: d.Verified, Signer: d.Signer, Uploaded: d.Uploaded, Size: d.Size, Format: d.Format, Version: d.Version, Failure: d.Failure,
	}
	if d.Kind == release.PaperSBOM && d.Failure == "" {
		converted.Packages, converted.Unidentified = &d.Packages, &d.Unidentified
	}
	return converted
}

// MediaType is what the bytes of a document are served as.
func MediaType(d *account.Document) string {
	switch {
	case d.Kind == release.PaperSBOM && d.Format == "SPDX":
		return "application/spdx+json"
	case d.Kind == release.PaperSBOM && d.Format == "CycloneDX":
		return "application/vnd.cyclonedx+json"
	case d.Kind == release.PaperVEX:
		return "application/vnd.openvex+json"
	case d.Kind == release.PaperProvenance, d.Kind == release.PaperSummary:
		return "application/json"
	default:
		// Whatever it is, no browser shows it as a page.
		return "application/octet-stream"
	}
}

// Accepted says what was asked of the worker, and where to watch it.
type Accepted struct {
	Step       string    `json:"step" enum:"discover,ingest"`
	Repository string    `json:"repository"`
	Digest     string    `json:"digest" doc:"The image; empty when it is the whole repository."`
	AskedAt    time.Time `json:"asked_at"`
	Watch      string    `json:"watch" doc:"Where to watch. It is done when the time named by until is later than asked_at."`
	Until      string    `json:"until" enum:"last_look.at,examined_at"`
}

// Receipt says what was taken in.
type Receipt struct {
	Digest       string `json:"digest" doc:"Of the document that was handed in."`
	Href         string `json:"href" doc:"Where it will be once it is taken in."`
	Subject      string `json:"subject" doc:"The manifest that it is about."`
	Format       string `json:"format" enum:"SPDX,CycloneDX"`
	Version      string `json:"format_version"`
	Packages     int    `json:"packages"`
	Unidentified int    `json:"unidentified"`
	By           string `json:"uploaded_by"`

	AskedAt time.Time `json:"asked_at"`
	Watch   string    `json:"watch" doc:"Where to watch. It is taken in when the time named by until is later than asked_at."`
	Until   string    `json:"until" enum:"examined_at"`
}

// Announced says what came of a message of a registry.
type Announced struct {
	Repositories []string `json:"repositories" doc:"Those that will be looked at: the message names them, and they are watched."`
	Ignored      int      `json:"ignored" doc:"How many repositories it names beside these."`
}

// Rescan is how far the latest request for a look is.
type Rescan struct {
	State    string     `json:"state" enum:"none,unserved,waiting,queued,running,retrying,lost,looked,judging,unchanged,changed" doc:"none: nobody asked; unserved: no worker is alive; waiting: for a worker to take it; queued: taken, and waits for its turn; lost: no job waits or runs, and the latest look is from before; looked: the repository was looked at; unchanged, changed: the image was looked at, and so is its verdict."`
	Ended    bool       `json:"ended" doc:"Nothing more comes of it."`
	AskedAt  *time.Time `json:"asked_at" doc:"Null when nobody asked."`
	AskedBy  string     `json:"asked_by"`
	TakenAt  *time.Time `json:"taken_at" doc:"When a worker took it."`
	LookedAt *time.Time `json:"looked_at" doc:"When the latest look was: before asked_at, it is another."`
	JudgedAt *time.Time `json:"judged_at" doc:"When the latest verdict was reached that differed from the one before; null of a repository."`
	Workers  int        `json:"workers" doc:"How many processes are alive that do jobs."`
}

// RescanOf converts a request for a look at an image, or at a repository.
func RescanOf(a *account.Asked, image bool) Rescan {
	at := a.State(image)
	return Rescan{string(at), at.Ended(), moment(a.At), a.By, moment(a.TakenAt), moment(a.LookedAt), moment(a.JudgedAt), a.Workers}
}
