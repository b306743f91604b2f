package console

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// standing is a release and how it stands, in the words that lists of releases show.
type standing struct {
	Within, Name string // the repository, cut before its last part
	Repository   string
	Version      string // empty for an image without a version
	URL          string
	Prerelease   bool
	Moved, Gone  *moment
	Digest       string
	// Created is when the image says that it was made, nil when it does not.
	Created    *moment
	ReleasedAt *moment
	FirstSeen  moment
	Now, Then  state
	// Critical and High are those that count now; CriticalThen the critical ones at
	// release.
	Critical, High, CriticalThen figure
	Build, Size                  figure
	Platforms                    []platform
}

type platform struct {
	Name   string
	Digest string
	Size   string
	Bytes  int64
}

func newStanding(s *account.Standing, now time.Time) standing {
	within, name := cutRepository(s.Image.Repository)
	nowCounts, thenCounts := newCounts(s.Now), newCounts(s.AtRelease)
	v := standing{
		Within: within, Name: name, Repository: s.Image.Repository,
		Version: s.Version, URL: standingURL(s), Prerelease: release.IsPrerelease(s.Version),
		Moved: optional(s.MovedAt, now), Gone: optional(s.GoneAt, now),
		Digest: string(s.Image.Digest), Created: optional(s.Image.Created, now), ReleasedAt: optional(s.ReleasedAt, now),
		FirstSeen: newMoment(s.FirstSeen, now),
		Now:       verdictState(s.Now), Then: verdictState(s.AtRelease),
		Critical: nowCounts.Critical, High: nowCounts.High, CriticalThen: thenCounts.Critical,
		Build: buildTime(s.Build), Size: sizeFigure(s),
	}
	v.Platforms = platforms(s.Image.Platforms)
	return v
}

func platforms(all []release.Platform) []platform {
	var list []platform
	for _, p := range all {
		list = append(list, platform{Name: p.String(), Digest: string(p.Digest), Size: size(p.CompressedSize), Bytes: p.CompressedSize})
	}
	return list
}

// buildTime is how long a build took.
func buildTime(b *release.Build) figure {
	if b == nil {
		return unknownFigure("no verified provenance says how long it took")
	}
	d, ok := b.Duration()
	if !ok {
		return unknownFigure("the provenance does not say how long it took")
	}
	return figure{Text: took(d), Sort: d.Milliseconds()}
}

func sizeFigure(s *account.Standing) figure {
	if bytes := s.Size(); bytes > 0 {
		return figure{Text: size(bytes), Sort: bytes}
	}
	return unknownFigure("the image states no platform")
}
