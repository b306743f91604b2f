package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// layoutPrefix marks an image layout, as other tools do: oci:PATH[:NAME].
const layoutPrefix = "oci:"

// target is an argument that stands for images: one in a registry, or those of an
// image layout.
type target struct {
	arg string
	// image is empty for a layout.
	image pipeline.Image
	// path is that of a layout, and of the name or digest in it, "" for all images.
	path, of string
}

// layoutTarget returns false for an argument that is no image layout.
func layoutTarget(arg string) (target, bool) {
	rest, marked := strings.CutPrefix(arg, layoutPrefix)
	if !marked {
		return target{arg: arg, path: arg}, layout.Is(arg)
	}
	if _, err := os.Stat(rest); err == nil {
		return target{arg: arg, path: rest}, true
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if digest, err := release.ParseDigest(rest[at+1:]); err == nil {
			return target{arg: arg, path: rest[:at], of: string(digest)}, true
		}
	}
	// A name may have colons, and so may a path.
	for i, c := range rest {
		if c != ':' {
			continue
		}
		if _, err := os.Stat(rest[:i]); err == nil {
			return target{arg: arg, path: rest[:i], of: rest[i+1:]}, true
		}
	}
	return target{arg: arg, path: rest}, true
}

// isHost reports whether the first part of a reference is a registry host that cannot
// be taken for a folder: it has a dot or a port, or is localhost.
func isHost(s string) bool {
	name, port, ported := strings.Cut(s, ":")
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, letters+"0123456789-") != "" {
			return false
		}
	}
	if ported {
		return port != "" && strings.Trim(port, "0123456789") == ""
	}
	return name == "localhost" || len(labels) > 1
}

// referenceTarget reads host/path:tag or host/path@digest.
func referenceTarget(arg string) (target, error) {
	host, _, found := strings.Cut(arg, "/")
	if !found || !isHost(host) {
		return target{}, errors.New("expected host/path:tag or host/path@digest, with a dot or a port in the host")
	}
	image, err := imageOf(arg)
	if err != nil {
		return target{}, err
	}
	if _, err := name.NewRepository(image.Repository); err != nil {
		return target{}, err
	}
	return target{arg: arg, image: image}, nil
}

func imageOf(arg string) (pipeline.Image, error) {
	image, err := pipeline.ParseImage(arg)
	if err == nil && image.Tag == "" && image.Digest == "" {
		err = fmt.Errorf("image %q: expected a tag or a digest, found neither", arg)
	}
	return image, err
}

// looker looks at the papers of targets. It makes no connection but to the registry
// of an image, and none for a layout.
type looker struct {
	trust  evidence.Trust
	client *registry.Client
	// remote is the examiner of registries; one is made for each layout.
	remote *evidence.Examiner
	// platforms: the platform of images without an index is asked for.
	platforms bool
	// lenient: an image of which the platform cannot be read is looked at all the same.
	lenient bool
}

// newLooker checks the trust, so that a mistake in it is heard before anything is
// looked at.
func newLooker(f *trustFlags) (*looker, error) {
	trust, err := f.trust()
	if err != nil {
		return nil, configError{err}
	}
	l := &looker{
		trust: trust,
		client: registry.New(registry.Config{
			Hosts: furtherHosts(), HostsKey: hostsVariable, Insecure: f.insecure, UserAgent: "tallyman/" + buildinfo.Read("").Version,
		}),
	}
	if l.remote, err = evidence.New(l.client, evidence.Config{Trust: trust}); err != nil {
		return nil, configError{err}
	}
	return l, nil
}

// look examines the images of a target, and hands each to take before it looks at the
// next.
func (l *looker) look(ctx context.Context, t target, take func(sighting) error) error {
	if t.path != "" {
		return l.lookLayout(ctx, t, take)
	}
	digest := t.image.Digest
	if digest == "" {
		var err error
		if digest, err = l.client.Resolve(ctx, t.image.Repository, t.image.Tag); err != nil {
			return err
		}
	}
	return l.examine(ctx, l.remote, l.client, t.image.Repository, digest, take)
}

func (l *looker) lookLayout(ctx context.Context, t target, take func(sighting) error) (err error) {
	opened, err := layout.Open(t.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	images, err := opened.Images(t.of)
	if err != nil {
		return err
	}
	examiner, err := evidence.New(opened, evidence.Config{Trust: l.trust, Listed: release.LayoutDisk})
	if err != nil {
		return configError{err}
	}
	for _, image := range images {
		if err := l.examine(ctx, examiner, opened, t.path, image.Digest, take); err != nil {
			return err
		}
	}
	return nil
}

func (l *looker) examine(ctx context.Context, examiner *evidence.Examiner, source evidence.Source, repository string, digest release.Digest,
	take func(sighting) error,
) error {
	examination, err := examiner.Examine(ctx, repository, digest)
	if err != nil {
		return err
	}
	var platform release.Platform
	// An index tells the platforms itself.
	if l.platforms && examination.Evidence[0].On == "image" {
		if platform, err = evidence.PlatformOf(ctx, source, repository, digest); err != nil && !l.lenient {
			return err
		}
	}
	return take(sighting{examination, platform, source})
}

// sighting is an image that was looked at.
type sighting struct {
	release.Examination

	// platform is that of an image without an index, where it was asked for.
	platform release.Platform
	source   evidence.Source
}

// shape reads what the manifests say of the image.
func (s *sighting) shape(ctx context.Context) (evidence.Shape, error) {
	return evidence.ShapeOf(ctx, s.source, s.Repository, s.Digest)
}
