package wire

import (
	"maps"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Release is a release and how it stands.
type Release struct {
	ID         string `json:"id" doc:"repository:version, or repository@digest where no version names it. Stable, and can be pulled." example:"ghcr.io/acme/web:v1.4.0"`
	Href       string `json:"href" doc:"Where the API tells of it."`
	Repository string `json:"repository" example:"ghcr.io/acme/web"`
	Version    string `json:"version" doc:"The version tag; empty where none names the image." example:"v1.4.0"`
	Digest     string `json:"digest" doc:"Of the index, or of the manifest of an image without one." example:"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"`
	MediaType  string `json:"media_type"`
	Revision   string `json:"revision" doc:"The source commit, as the image says it; empty when it does not."`
	Prerelease bool   `json:"prerelease"`

	CreatedAt  *time.Time `json:"created_at" doc:"When the image says that it was made."`
	ReleasedAt *time.Time `json:"released_at" doc:"created_at, or first_seen_at where the image does not say."`
	FirstSeen  *time.Time `json:"first_seen_at"`
	MovedAt    *time.Time `json:"moved_at" doc:"When the version was last found to name another digest, which it never should; null when it never was."`
	GoneAt     *time.Time `json:"gone_at" doc:"When the version was no longer found; null while it stands."`
	ExaminedAt *time.Time `json:"examined_at" doc:"The latest look at its papers; null before the first."`

	Platforms []Platform `json:"platforms"`
	Size      *int64     `json:"size_bytes" doc:"What a pull of the largest platform transfers."`
	Build     *Build     `json:"build" doc:"What verified provenance says of the build; null when none does."`
	Evidence  []State    `json:"evidence" doc:"The state of each kind of evidence, for the image as a whole."`

	Now       Verdict `json:"now"`
	AtRelease Verdict `json:"at_release" doc:"The verdict by what was known when it was released."`
}

// Platform is the manifest of an image for one operating system and architecture.
type Platform struct {
	Name         string `json:"name" example:"linux/arm64"`
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	Digest       string `json:"digest"`
	Size         int64  `json:"size_bytes" doc:"What a pull transfers: the configuration and all layers, compressed."`
}

// Build is what provenance says of how an image was built; what it does not say is empty
// or null.
type Build struct {
	Builder    string     `json:"builder" doc:"Who ran it, a URI."`
	Type       string     `json:"type"`
	Invocation string     `json:"invocation"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Duration   *float64   `json:"duration_seconds" doc:"The build duration; null when the provenance does not say."`
	Source     string     `json:"source"`
	Commit     string     `json:"commit"`
	Base       string     `json:"base" doc:"The base image, by name and digest."`
	Tools      []Tool     `json:"tools"`
	Signer     string     `json:"signer" doc:"Who vouches for it."`
}

// Tool is a tool that a builder names.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// State is what is known of a kind of evidence.
type State struct {
	Kind  string `json:"kind" enum:"signature,sbom,provenance,vex,verification summary"`
	State string `json:"state" enum:"verified,invalid,absent,unknown"`
}

// ReleaseOf converts a release.
func ReleaseOf(s *account.Standing) Release {
	ref := RefOf(s)
	r := Release{
		ID: ID(ref), Href: ReleasePath(ref), Repository: ref.Repository, Version: s.Version, Digest: string(s.Image.Digest),
		MediaType: s.Image.MediaType, Revision: s.Image.Revision, Prerelease: release.IsPrerelease(s.Version),
		CreatedAt: moment(s.Image.Created), ReleasedAt: moment(s.ReleasedAt), FirstSeen: moment(s.FirstSeen),
		MovedAt: moment(s.MovedAt), GoneAt: moment(s.GoneAt), ExaminedAt: moment(s.ExaminedAt),
		Platforms: each(s.Image.Platforms, platformOf), Build: buildOf(s.Build),
		Now: VerdictOf(s.Now), AtRelease: VerdictOf(s.AtRelease),
	}
	if size := s.Size(); size > 0 {
		r.Size = &size
	}
	for _, kind := range release.PaperKinds() {
		r.Evidence = append(r.Evidence, State{string(kind), string(stateOf(s, kind))})
	}
	return r
}

func stateOf(s *account.Standing, kind release.PaperKind) release.State {
	if state := s.Evidence[kind]; state != "" {
		return state
	}
	return release.StateUnknown
}

func platformOf(p *release.Platform) Platform {
	return Platform{p.String(), p.OS, p.Architecture, p.Variant, string(p.Digest), p.CompressedSize}
}

func buildOf(b *release.Build) *Build {
	if b == nil {
		return nil
	}
	converted := &Build{
		Builder: b.Builder, Type: b.Type, Invocation: b.Invocation, StartedAt: moment(b.Started), FinishedAt: moment(b.Finished),
		Source: b.Source, Commit: b.Commit, Base: b.Base, Tools: make([]Tool, 0, len(b.Tools)), Signer: b.Signer,
	}
	if took, ok := b.Duration(); ok {
		converted.Duration = seconds(took)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Tools)) {
		converted.Tools = append(converted.Tools, Tool{name, b.Tools[name]})
	}
	return converted
}

// ReleaseDetail is all that is told of a release at once. Findings, packages and the
// history of verdicts are read apart.
type ReleaseDetail struct {
	Release

	Versions     []string         `json:"versions" doc:"All version tags that name the image now, newest first."`
	Tags         []string         `json:"tags" doc:"All other tags that do."`
	Pieces       []Piece          `json:"pieces" doc:"The pieces of evidence with their papers: each kind, for the index and each platform."`
	Changes      []EvidenceChange `json:"changes" doc:"The newest 50 changes of evidence, newest first; list-evidence-changes has all."`
	ChangesTotal int              `json:"changes_total" doc:"How many changes of evidence there are."`
	ChangesNext  string           `json:"changes_next" doc:"The cursor with which list-evidence-changes goes on after these. Empty when these are all."`
	Documents    []Document       `json:"documents"`
	Layers       []Layers         `json:"layers" doc:"The layers of each platform, where they were recorded."`
	Licences     []string         `json:"licences" doc:"The distinct licences, as the SBOMs write them."`
	Rebuilders   []string         `json:"rebuilders" doc:"The distinct signers of verified provenance about the image."`
}

// Layers are the layers of a platform.
type Layers struct {
	Platform string  `json:"platform"`
	Digest   string  `json:"digest"`
	Layers   []Layer `json:"layers"`
}

// Layer is a layer of a platform.
type Layer struct {
	Digest    string `json:"digest"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size_bytes"`
}

// ReleaseDetailOf converts a release with what is told of it.
func ReleaseDetailOf(r *account.Release) ReleaseDetail {
	return ReleaseDetail{
		Release: ReleaseOf(&r.Standing), Versions: texts(r.Versions), Tags: texts(r.Tags),
		Pieces: each(r.Pieces, pieceOf), Changes: each(r.Changes.Items, EvidenceChangeOf), ChangesTotal: r.Changes.Total, ChangesNext: r.Changes.Next, Documents: each(r.Documents, DocumentOf),
		Layers: each(r.Layers, layersOf), Licences: texts(r.Licences), Rebuilders: texts(r.Rebuilders),
	}
}

func layersOf(l *account.Layers) Layers {
	return Layers{l.Platform.String(), string(l.Platform.Digest), each(l.Layers, func(l *release.Layer) Layer {
		return Layer{string(l.Digest), l.MediaType, l.Size}
	})}
}
