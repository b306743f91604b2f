package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/release"
)

// ErrMismatch means that what was published says itself that it is not what was asked
// for: another tag, or another commit under it.
var ErrMismatch = errors.New("published from another source")

// Published is an image of the release that is to be reproduced.
type Published struct {
	Repository string
	Digest     release.Digest
	Claim      Claim
}

// Job is a release to rebuild and compare.
type Job struct {
	// Images have claims of one commit.
	Images []Published
	// Registry is where they lie.
	Registry Source
	// From is where to clone from; the claim's source when empty.
	From string
	// Dir is an existing folder to work in.
	Dir string
	// Made is a checkout that was built already (`make snapshot`), or its image layout;
	// then nothing is cloned and built.
	Made string
	// Archives is a folder with files of the release page; "" compares none.
	Archives string
	Builder  *Builder
	Limits   Limits
}

// Outcome is the report, with what an attestation needs.
type Outcome struct {
	Report *Report
	// Rebuilt are the images that came out identical, in the order of the job's; of
	// those that did not the digest is "".
	Rebuilt []Rebuilt
	// Tools is the folder of the commit's pinned tools; "" when nothing was built.
	Tools string
}

// Agree returns the claim that all images share, or an error that wraps ErrMismatch.
func (j *Job) Agree() (Claim, error) {
	first := j.Images[0].Claim
	for i := range j.Images {
		if c := j.Images[i].Claim; c.Commit != first.Commit || c.Tag != first.Tag || c.Source != first.Source {
			return Claim{}, fmt.Errorf("%w: expected the images of one commit, found %s for %s and %s for %s",
				ErrMismatch, first, j.Images[0].Repository, c, j.Images[i].Repository)
		}
	}
	return first, nil
}

// Run clones, builds and compares. An error means that it could not be told whether the
// release can be reproduced.
func (j *Job) Run(ctx context.Context) (*Outcome, error) {
	claim, err := j.Agree()
	if err != nil {
		return nil, err
	}
	report := &Report{Claim: claim}
	built, err := j.build(ctx, claim, report)
	if err != nil {
		return nil, err
	}
	made, err := layout.Open(built.Layout)
	if err != nil {
		return nil, fmt.Errorf("read what was rebuilt: %w", err)
	}
	defer made.Close() //nolint:errcheck // it was only read from
	out := &Outcome{Report: report, Tools: built.Tools}
	for i := range j.Images {
		rebuilt, err := j.image(ctx, made, &j.Images[i], report)
		if err != nil {
			return nil, err
		}
		rebuilt.Started, rebuilt.Finished = built.Started, built.Finished
		out.Rebuilt = append(out.Rebuilt, rebuilt)
	}
	if j.Archives != "" {
		files, differences, err := ComparePage(ctx, j.Archives, built.Dist, j.Limits)
		if err != nil {
			return nil, err
		}
		report.Files, report.Differences = files, append(report.Differences, differences...)
	}
	report.Finish()
	return out, nil
}

func (j *Job) build(ctx context.Context, claim Claim, report *Report) (*Built, error) {
	if j.Made != "" {
		return j.made()
	}
	if err := j.Builder.Check(ctx); err != nil {
		return nil, err
	}
	report.ClonedFrom = j.From
	if j.From == "" {
		report.ClonedFrom = claim.Source
	}
	dir := filepath.Join(j.Dir, "source")
	j.Builder.say("cloning %s at %s …", report.ClonedFrom, claim.Commit)
	notes, err := Checkout(ctx, claim, j.From, dir, j.Builder.Environ)
	if err != nil {
		return nil, err
	}
	report.Notes = append(report.Notes, notes...)
	for _, name := range inputs() {
		if given := value(j.Builder.Environ, name); given != "" {
			report.Notes = append(report.Notes, "the build was given "+name+"="+printable(given))
		}
	}
	return j.Builder.Build(ctx, claim, dir)
}

// made finds what an earlier build left.
func (j *Job) made() (*Built, error) {
	if layout.Is(j.Made) {
		return &Built{Layout: j.Made, Dist: filepath.Join(j.Made, "..", "..", "dist")}, nil
	}
	built := &Built{Layout: filepath.Join(j.Made, "rehearsal", "layout"), Dist: filepath.Join(j.Made, "dist")}
	if !layout.Is(built.Layout) {
		return nil, fmt.Errorf("%s: expected a checkout in which `make snapshot` was run, or an OCI image layout, found neither: %w", j.Made, os.ErrNotExist)
	}
	return built, nil
}

// image compares one image, and describes it where it is identical.
func (j *Job) image(ctx context.Context, made *layout.Layout, published *Published, report *Report) (Rebuilt, error) {
	digest, err := find(made, published.Claim.Image)
	if err != nil {
		return Rebuilt{}, err
	}
	image := Image{
		Name: published.Claim.Image, Reference: published.Repository + "@" + string(published.Digest),
		Published: string(published.Digest), Rebuilt: string(digest), Identical: digest == published.Digest,
	}
	report.Images = append(report.Images, image)
	differences, err := Compare(ctx, image.Name, Side{j.Registry, published.Repository, published.Digest}, Side{made, "", digest}, j.Limits)
	if err != nil {
		return Rebuilt{}, err
	}
	report.Differences = append(report.Differences, differences...)
	if !image.Identical {
		return Rebuilt{Claim: published.Claim, Repository: published.Repository}, nil
	}
	return describeIndex(ctx, made, published)
}

// find returns the image that was built under a name whose path ends with it.
func find(made *layout.Layout, name string) (release.Digest, error) {
	images, err := made.Images("")
	if err != nil {
		return "", err
	}
	var known []string
	for _, image := range images {
		for _, full := range image.Names {
			known = append(known, full)
			rest, _, _ := strings.Cut(full, "@")
			repository, _, _ := strings.Cut(path.Base(rest), ":")
			if repository == name {
				return image.Digest, nil
			}
		}
	}
	return "", fmt.Errorf("read what was rebuilt: expected an image named %s, found %q", name, known)
}

// describeIndex reads what the index says of base image and platforms.
func describeIndex(ctx context.Context, made *layout.Layout, published *Published) (Rebuilt, error) {
	content, err := made.Manifest(ctx, "", string(published.Digest))
	if err != nil {
		return Rebuilt{}, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return Rebuilt{}, fmt.Errorf("index %s: %w", published.Digest, err)
	}
	r := Rebuilt{
		Claim: published.Claim, Repository: published.Repository, Digest: published.Digest,
		BaseName: index.Annotations[labelPrefix+"base.name"], BaseDigest: index.Annotations[labelPrefix+"base.digest"],
	}
	for _, m := range index.Manifests {
		if m.Platform != nil {
			r.Platforms = append(r.Platforms, release.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant}.String())
		}
	}
	return r, nil
}
