// Package pipeline is what GoReleaser calls between its own steps to turn
// pushed images into a sealed release. In the order of .goreleaser.yaml:
//
//	Check     before anything is built: may this version be released from here?
//	Rehearse  the images are built and not published; their SBOMs are made
//	          (`tallyman gate` then decides on them, and leaves its receipts in rehearsal/gate)
//	Clock     notes when an image's publishing build starts
//	Seal      the pushed digest must be the rehearsed one; signature and attestations go on
//	Promote   verify as an outsider would, then point the version tags at the digest
//
// Every step may be run again: it finds what an earlier run left, checks it,
// and does the rest.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// ErrRefused means that the release must not go on: a digest differs, a
// version is taken, a paper does not verify.
var ErrRefused = errors.New("release refused")

// ErrVersion means that a version cannot be released under.
var ErrVersion = errors.New("bad version")

// Registry is what the pipeline asks of the registry that it publishes to.
type Registry interface {
	// Tags lists the tags of a repository; none when there is no such repository.
	Tags(ctx context.Context, repository string) ([]string, error)
	// Describe reads the index, or manifest, behind a tag or digest.
	Describe(ctx context.Context, repository, reference string) (release.Image, error)
	// PointTag makes the tag name the digest, which the repository already has.
	PointTag(ctx context.Context, repository, tag string, digest release.Digest) error
}

// Pipeline holds what the steps share.
type Pipeline struct {
	// Root is the folder of the checkout.
	Root     string
	Tools    tool.Box
	Registry Registry
	Identity cosign.Identity
	Getenv   func(string) string
	Now      func() time.Time
	Out      io.Writer
}

// rehearsal is the folder that the steps of one release hand things on in:
// layout/ (OCI image layout of the rehearsed images), digests.txt, sbom/,
// gate/ (what `tallyman gate` wrote), share/ (manual pages and completions), clock/,
// cosign.pub.
func (p *Pipeline) rehearsal(elem ...string) string {
	return filepath.Join(append([]string{p.Root, "rehearsal"}, elem...)...)
}

func (p *Pipeline) say(format string, args ...any) {
	fmt.Fprintf(p.Out, format+"\n", args...) //nolint:errcheck // progress for people
}

// Image is one image of a release as GoReleaser names it.
type Image struct {
	Repository string         // registry and path
	Digest     release.Digest // "" when the reference has only a tag
	Tag        string
}

// ParseImage reads repository[:tag][@digest].
func ParseImage(s string) (Image, error) {
	rest, digest, hasDigest := strings.Cut(s, "@")
	img := Image{Repository: rest}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		img.Repository, img.Tag = rest[:colon], rest[colon+1:]
	}
	if hasDigest {
		parsed, err := release.ParseDigest(digest)
		if err != nil {
			return Image{}, fmt.Errorf("image %q: %w", s, err)
		}
		img.Digest = parsed
	}
	if !strings.Contains(img.Repository, "/") {
		return Image{}, fmt.Errorf("image %q: expected registry/path[:tag][@digest]", s)
	}
	return img, nil
}

// Name is the last element of the repository, such as "web".
func (i Image) Name() string { return path.Base(i.Repository) }

// At is the reference of d in the image's repository.
func (i Image) At(d release.Digest) string { return i.Repository + "@" + string(d) }

// versionTag is the tag of a version given without or with its v. It refuses
// what cannot be both a semantic version and an OCI tag.
func versionTag(version string) (string, error) {
	tag := "v" + strings.TrimPrefix(version, "v")
	if release.KindOfTag(tag) != release.TagVersion {
		return "", fmt.Errorf("%w %q: expected MAJOR.MINOR.PATCH[-PRERELEASE] of semver.org, without build metadata (an OCI tag cannot hold \"+\")", ErrVersion, version)
	}
	return tag, nil
}

func commitTag(commit string) string { return "sha-" + commit }

// writeFile writes through a temporary file, so that a step that is killed
// leaves the old content or the new, and nothing between.
func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644) //nolint:gosec // nothing here is secret
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(tmp.Name()))
	}
	return nil
}
