package facts

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// predicate is what is read of SLSA provenance: of version 1
// (https://slsa.dev/spec/v1.0/provenance) and, below it, of version 0.2, which BuildKit
// still writes (https://slsa.dev/spec/v0.2/provenance). A field of another type than
// expected leaves the rest readable.
type predicate struct {
	Definition lenient[struct {
		BuildType    lenient[string]       `json:"buildType"`
		Dependencies lenient[[]dependency] `json:"resolvedDependencies"`
	}] `json:"buildDefinition"`
	Details lenient[struct {
		Builder lenient[struct {
			ID      lenient[string]            `json:"id"`
			Version lenient[map[string]string] `json:"version"`
		}] `json:"builder"`
		Metadata lenient[struct {
			Invocation lenient[string]    `json:"invocationId"`
			Started    lenient[time.Time] `json:"startedOn"`
			Finished   lenient[time.Time] `json:"finishedOn"`
		}] `json:"metadata"`
	}] `json:"runDetails"`

	Builder lenient[struct {
		ID lenient[string] `json:"id"`
	}] `json:"builder"`
	BuildType  lenient[string] `json:"buildType"`
	Invocation lenient[struct {
		Source lenient[dependency] `json:"configSource"`
	}] `json:"invocation"`
	Metadata lenient[struct {
		Invocation lenient[string]    `json:"buildInvocationID"`
		Started    lenient[time.Time] `json:"buildStartedOn"`
		Finished   lenient[time.Time] `json:"buildFinishedOn"`
	}] `json:"metadata"`
	Materials lenient[[]dependency] `json:"materials"`
}

type dependency struct {
	URI    lenient[string]            `json:"uri"`
	Digest lenient[map[string]string] `json:"digest"`
}

// lenient is a value, or nothing when it is of another type.
type lenient[T any] struct{ V T }

// UnmarshalJSON never fails.
func (l *lenient[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if json.Unmarshal(raw, &v) == nil {
		l.V = v
	}
	return nil
}

// BuildOf returns what verified provenance says of the build, nil when none does. Where
// several do, as when others rebuilt the image, it is the build that ended first.
func BuildOf(examination release.Examination) *release.Build {
	var first *release.Build
	for _, e := range examination.Evidence {
		if e.Kind != release.PaperProvenance {
			continue
		}
		for i := range e.Papers {
			p := &e.Papers[i]
			if p.State != release.StateVerified {
				continue
			}
			b := readBuild(p.Document)
			if b == nil {
				continue
			}
			b.Signer = p.Signer.String()
			if first == nil || !b.Finished.IsZero() && (first.Finished.IsZero() || b.Finished.Before(first.Finished)) {
				first = b
			}
		}
	}
	return first
}

// readBuild reads a predicate, and returns nil when it says nothing that is understood.
func readBuild(document []byte) *release.Build {
	var p predicate
	if json.Unmarshal(document, &p) != nil {
		return nil
	}
	d, r := p.Definition.V, p.Details.V
	b := &release.Build{
		Builder: cmp.Or(r.Builder.V.ID.V, p.Builder.V.ID.V), Type: cmp.Or(d.BuildType.V, p.BuildType.V),
		Invocation: cmp.Or(r.Metadata.V.Invocation.V, p.Metadata.V.Invocation.V),
		Started:    cmp.Or(r.Metadata.V.Started.V, p.Metadata.V.Started.V).UTC(),
		Finished:   cmp.Or(r.Metadata.V.Finished.V, p.Metadata.V.Finished.V).UTC(),
		Tools:      r.Builder.V.Version.V,
	}
	if b.Builder == "" && b.Type == "" {
		return nil
	}
	dependencies := d.Dependencies.V
	if len(dependencies) == 0 {
		dependencies = append([]dependency{p.Invocation.V.Source.V}, p.Materials.V...)
	}
	for _, on := range dependencies {
		readDependency(b, on)
	}
	return b
}

// readDependency takes the source and the base image from what a build took in: the
// first of each.
func readDependency(b *release.Build, on dependency) {
	uri, digest := on.URI.V, on.Digest.V
	switch {
	case strings.HasPrefix(uri, "git+") || digest["gitCommit"] != "":
		if b.Source == "" {
			b.Source, b.Commit = strings.TrimPrefix(uri, "git+"), cmp.Or(digest["gitCommit"], digest["sha1"], digest["sha256"])
		}
	case strings.HasPrefix(uri, "docker://"), strings.HasPrefix(uri, "pkg:docker/"), strings.HasPrefix(uri, "pkg:oci/"):
		if b.Base == "" {
			b.Base = strings.TrimPrefix(uri, "docker://")
			if sha := digest["sha256"]; sha != "" && !strings.Contains(b.Base, sha) {
				b.Base += "@sha256:" + sha
			}
		}
	}
}
