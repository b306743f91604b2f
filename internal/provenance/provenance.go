// Package provenance makes the SLSA provenance predicate of an image build
// (https://slsa.dev/spec/v1.0/provenance). Its startedOn and finishedOn are
// where everybody, Tallyman's console included, reads a build's duration.
package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// BuildType identifies how externalParameters are to be read; the page at
// this address says so (SLSA v1.0, "buildType").
const BuildType = "https://github.com/tallyman-io/tallyman/blob/main/docs/release.md#build-type-v1"

// Build is what is known of one image build.
type Build struct {
	Source     string // repository, https URL
	Tag        string // git tag
	Commit     string // 40 hex digits
	Image      string // its name in the release, such as "web"
	Platforms  []string
	BaseName   string // as the image's label org.opencontainers.image.base.name gives it
	BaseDigest string // sha256:…
	BuilderID  string // who ran it: a URI
	Invocation string // the run at the builder, a URI; "" when it has none
	Versions   map[string]string
	Started    time.Time
	Finished   time.Time
}

// Predicate is the subset of the SLSA v1.0 provenance that a build fills.
type Predicate struct {
	BuildDefinition Definition `json:"buildDefinition"`
	RunDetails      Details    `json:"runDetails"`
}

// Definition is SLSA's BuildDefinition.
type Definition struct {
	BuildType            string       `json:"buildType"`
	ExternalParameters   Parameters   `json:"externalParameters"`
	ResolvedDependencies []Descriptor `json:"resolvedDependencies"`
}

// Parameters are what the caller of the build chose.
type Parameters struct {
	Source    string   `json:"source"` // SPDX download location: git+https://…@refs/tags/…
	Config    string   `json:"config"` // the pipeline's file in the source
	Image     string   `json:"image"`
	Platforms []string `json:"platforms"`
}

// Descriptor is in-toto's ResourceDescriptor.
type Descriptor struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Details is SLSA's RunDetails.
type Details struct {
	Builder  Builder  `json:"builder"`
	Metadata Metadata `json:"metadata"`
}

// Builder is SLSA's Builder.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata is SLSA's BuildMetadata.
type Metadata struct {
	InvocationID string    `json:"invocationId,omitempty"`
	StartedOn    time.Time `json:"startedOn"`
	FinishedOn   time.Time `json:"finishedOn"`
}

// Predicate fills the predicate, or says what is missing from b.
func (b Build) Predicate() (Predicate, error) {
	if err := b.check(); err != nil {
		return Predicate{}, fmt.Errorf("provenance of %s: %w", b.Image, err)
	}
	dependencies := []Descriptor{{
		URI:    "git+" + b.Source + "@refs/tags/" + b.Tag,
		Digest: map[string]string{"gitCommit": b.Commit},
	}, {
		URI:    "docker://" + b.BaseName,
		Digest: map[string]string{"sha256": b.BaseDigest[len("sha256:"):]},
	}}
	return Predicate{
		BuildDefinition: Definition{
			BuildType: BuildType,
			ExternalParameters: Parameters{
				Source: dependencies[0].URI, Config: ".goreleaser.yaml", Image: b.Image, Platforms: b.Platforms,
			},
			ResolvedDependencies: dependencies,
		},
		RunDetails: Details{
			Builder: Builder{ID: b.BuilderID, Version: b.Versions},
			Metadata: Metadata{
				InvocationID: b.Invocation,
				StartedOn:    b.Started.UTC().Truncate(time.Millisecond),
				FinishedOn:   b.Finished.UTC().Truncate(time.Millisecond),
			},
		},
	}, nil
}

func (b Build) check() error {
	var missing []error
	for _, field := range []struct{ name, value string }{
		{"source", b.Source},
		{"tag", b.Tag},
		{"commit", b.Commit},
		{"image", b.Image},
		{"base name", b.BaseName},
		{"builder id", b.BuilderID},
	} {
		if field.value == "" {
			missing = append(missing, fmt.Errorf("%s is empty", field.name))
		}
	}
	if len(b.BaseDigest) != len("sha256:")+64 || b.BaseDigest[:7] != "sha256:" {
		missing = append(missing, fmt.Errorf("base digest %q: expected sha256: and 64 hex digits", b.BaseDigest))
	}
	if b.Started.IsZero() || b.Finished.Before(b.Started) {
		missing = append(missing, fmt.Errorf("build from %s to %s: expected a start, and a finish not before it", b.Started, b.Finished))
	}
	return errors.Join(missing...)
}

// SameBuild reports whether p, a predicate that is already attached, tells of
// the same build inputs as q: then a release that runs again keeps it, and its
// times stay those of the build that made the digest.
func (p Predicate) SameBuild(q Predicate) bool {
	a, errA := json.Marshal(p.BuildDefinition)
	b, errB := json.Marshal(q.BuildDefinition)
	return errA == nil && errB == nil && string(a) == string(b)
}
