package pipeline

import (
	"context"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Check refuses a release that could not end well, before anything is built:
// there is nothing to sign with, the registry does not answer, or the version
// already names an image of another commit.
func (p *Pipeline) Check(ctx context.Context, version, commit string, images []Image) error {
	tag, err := versionTag(version)
	if err != nil {
		return err
	}
	if err := p.Identity.CheckSigning(p.Getenv); err != nil {
		return err
	}
	if p.Getenv("TALLYMAN_BASE") != "" && p.Getenv("GITHUB_ACTIONS") == "true" {
		return fmt.Errorf("%w: TALLYMAN_BASE substitutes the base image; a public release is built on the pinned one", ErrRefused)
	}
	for _, img := range images {
		if err := p.checkUntaken(ctx, img, tag, commit); err != nil {
			return err
		}
	}
	p.say("check: %s may be released from commit %s", tag, commit)
	return nil
}

// checkUntaken refuses a version tag that names an image of another commit.
func (p *Pipeline) checkUntaken(ctx context.Context, img Image, tag, commit string) error {
	taken, err := p.lookUp(ctx, img.Repository, tag)
	if err != nil || taken == nil {
		return err
	}
	if taken.Revision != commit {
		return fmt.Errorf("%w: %s:%s is already released: it names %s, built from commit %s; this is commit %s. "+
			"A released version never changes: tag a new one", ErrRefused, img.Repository, tag, taken.Digest, or(taken.Revision, "unknown"), commit)
	}
	return nil
}

// lookUp describes a tag, or returns nil when the repository does not have it.
// The tag list is asked first: a registry may answer 404 for other reasons.
func (p *Pipeline) lookUp(ctx context.Context, repository, tag string) (*release.Image, error) {
	tags, err := p.Registry.Tags(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repository, err)
	}
	for _, t := range tags {
		if t == tag {
			img, err := p.Registry.Describe(ctx, repository, tag)
			if err != nil {
				return nil, fmt.Errorf("describe %s:%s: %w", repository, tag, err)
			}
			return &img, nil
		}
	}
	return nil, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
