package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Promote verifies img as an outsider would and points the version's tags at
// its digest. img is the image under its sha-<commit> tag.
func (p *Pipeline) Promote(ctx context.Context, version, commit string, img Image) error {
	tag, err := versionTag(version)
	if err != nil {
		return err
	}
	pushed, err := p.Registry.Describe(ctx, img.Repository, commitTag(commit))
	if err != nil {
		return fmt.Errorf("promote %s: describe %s: %w", img.Repository, commitTag(commit), err)
	}
	if err := p.checkRehearsed(img, pushed.Digest); err != nil {
		return err
	}
	if err := p.checkUntaken(ctx, img, tag, commit); err != nil {
		return err
	}
	client, err := p.signer(ctx)
	if err != nil {
		return err
	}
	if _, err := p.verifyPapers(ctx, client, img, pushed); err != nil {
		return fmt.Errorf("%w: not promoted: %w", ErrRefused, err)
	}
	existing, err := p.Registry.Tags(ctx, img.Repository)
	if err != nil {
		return fmt.Errorf("promote %s: list tags: %w", img.Repository, err)
	}
	for _, t := range TagsOf(tag, existing) {
		if err := p.Registry.PointTag(ctx, img.Repository, t, pushed.Digest); err != nil {
			return fmt.Errorf("promote %s: point %s at %s: %w", img.Repository, t, pushed.Digest, err)
		}
		p.say("promote: %s:%s is %s", img.Repository, t, pushed.Digest)
	}
	return nil
}

// TagsOf is the tags that a release of version takes, its own first, given
// those that the repository has: vX.Y, vX and latest follow unless a newer
// release of that line has them, and a prerelease gets its own tag only.
func TagsOf(version string, existing []string) []string {
	tags := []string{version}
	if release.IsPrerelease(version) {
		return tags
	}
	newest := func(line string) bool {
		return !slices.ContainsFunc(existing, func(tag string) bool {
			return release.KindOfTag(tag) == release.TagVersion && !release.IsPrerelease(tag) &&
				strings.HasPrefix(tag, line) && release.CompareVersions(tag, version) > 0
		})
	}
	for _, line := range []string{semver.MajorMinor(version), semver.Major(version)} {
		if newest(line + ".") {
			tags = append(tags, line)
		}
	}
	if newest("v") {
		tags = append(tags, "latest")
	}
	return tags
}
