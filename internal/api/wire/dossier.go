package wire

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
)

// Dossier is how the dossier of the papers of a release stands.
type Dossier struct {
	State string `json:"state" enum:"none,making,ready,failed" doc:"none: nobody asked for one, or it is no longer kept. failed: it may be asked for again."`
	// Image is the digest of the image.
	Image    string     `json:"image" doc:"The digest of the image."`
	AskedAt  *time.Time `json:"asked_at" doc:"null when nobody asked for it."`
	AskedBy  string     `json:"asked_by"`
	Progress *Progress  `json:"progress" doc:"How far it is; null when it is not being made."`
	Failure  string     `json:"failure" doc:"Why it could not be made. Empty unless it failed."`
	MadeAt   *time.Time `json:"made_at" doc:"null unless it is ready; so are expires_at and size."`
	Expires  *time.Time `json:"expires_at" doc:"Until when it can be had."`
	Size     *int64     `json:"size" doc:"Bytes of the file."`
	File     string     `json:"file_digest" doc:"SHA-256 of the file, which is the ETag as well. Empty unless it is ready."`
	Digest   string     `json:"digest" doc:"The digest that tallyman dossier verify prints, which covers everything in it. Empty unless it is ready."`
	Outdated bool       `json:"outdated" doc:"Evidence of the release has changed since: asking again makes another."`
	Href     string     `json:"href" doc:"Where the file is. Empty unless it is ready."`
	Watch    string     `json:"watch" doc:"Where to see how it stands."`
}

// DossierPath is where the API serves the dossier of a release.
func DossierPath(ref account.Ref) string { return ReleasePath(ref) + "/dossier" }

// DossierStatePath is where the API tells how it stands.
func DossierStatePath(ref account.Ref) string { return DossierPath(ref) + "/state" }

// DossierOf converts the dossier of a release.
func DossierOf(d *account.Dossier, ref account.Ref, image string) Dossier {
	told := Dossier{
		State: string(d.State), Image: image, AskedAt: moment(d.AskedAt), AskedBy: d.AskedBy, Failure: d.Failure, MadeAt: moment(d.MadeAt), Expires: moment(d.ExpiresAt),
		File: string(d.File), Digest: string(d.Digest), Outdated: d.Outdated, Watch: DossierStatePath(ref),
	}
	if d.Progress != nil {
		p := ProgressOf(d.Progress)
		told.Progress = &p
	}
	if d.State == account.DossierReady {
		size := d.Size
		told.Size, told.Href = &size, DossierPath(ref)
	}
	return told
}
