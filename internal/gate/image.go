package gate

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Words of package evidence for the manifest of an index, and for one without.
const (
	onIndex = "index"
	onImage = "image"
)

// Image is an image that was built and is not published yet.
type Image struct {
	// Repository is where it will be published, such as ghcr.io/o/r/web.
	Repository string
	// Tag is the version tag that it will get, such as v1.2.0; empty when it will get
	// none.
	Tag    string
	Digest release.Digest
	// Base is the base image that it says it stands on; empty when it does not.
	Base string
	// Platforms has the manifests of the index, or the one manifest where there is no
	// index.
	Platforms []Platform
}

// Platform is one manifest of an image, and its SBOMs.
type Platform struct {
	release.Platform

	// SBOMs are those that will be attested about it. They are taken for true: whoever
	// runs the gate made them of this very image.
	SBOMs []Document
	// Missing is why there are none. Empty where there are some.
	Missing string
}

// Document is a document about an image.
type Document struct {
	// Name is that of its file.
	Name    string
	Content []byte
}

// examination is what looking for papers would find, were the image published with the
// SBOMs alone.
func (i *Image) examination(at time.Time) release.Examination {
	e := release.Examination{Repository: i.Repository, Digest: i.Digest, At: at}
	if len(i.Platforms) != 1 || i.Platforms[0].Digest != i.Digest {
		e.Evidence = notYet(i.Digest, onIndex, release.Evidence{
			Kind: release.PaperSBOM, State: release.StateAbsent, Reason: "SBOMs are of the platforms",
		})
	}
	for j := range i.Platforms {
		p := &i.Platforms[j]
		on := p.String()
		if p.Digest == i.Digest {
			on = onImage
		}
		e.Evidence = append(e.Evidence, notYet(p.Digest, on, p.sboms())...)
	}
	return e
}

// notYet is the evidence about a manifest that has SBOMs and nothing else.
func notYet(subject release.Digest, on string, sboms release.Evidence) []release.Evidence {
	sboms.Subject, sboms.On = subject, on
	all := make([]release.Evidence, 0, len(release.PaperKinds()))
	for _, kind := range release.PaperKinds() {
		if kind == release.PaperSBOM {
			all = append(all, sboms)
			continue
		}
		all = append(all, release.Evidence{
			Kind: kind, Subject: subject, On: on, State: release.StateAbsent, Reason: "the image is not published yet",
		})
	}
	return all
}

func (p *Platform) sboms() release.Evidence {
	e := release.Evidence{Kind: release.PaperSBOM, State: release.StateVerified, Reason: "made of the built image"}
	if len(p.SBOMs) == 0 {
		e.State, e.Reason = release.StateAbsent, p.Missing
		if e.Reason == "" {
			e.Reason = "there is none"
		}
	}
	for _, d := range p.SBOMs {
		e.Papers = append(e.Papers, release.Paper{
			Kind: release.PaperSBOM, State: release.StateVerified, Blob: facts.DigestOf(d.Content), Document: d.Content, LogIndex: -1,
		})
	}
	return e
}
