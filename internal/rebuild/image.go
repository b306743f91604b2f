package rebuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Source is where an image lies: a registry ([registry.Client]) or an image layout
// ([layout.Layout]). What is read by a digest has that digest.
type Source interface {
	Manifest(ctx context.Context, repository, tagOrDigest string) (registry.Content, error)
	Blob(ctx context.Context, repository string, digest release.Digest, limit int64) ([]byte, error)
}

// Side is one of the two images that are compared.
type Side struct {
	Source Source
	// Repository is "" for an image layout, which has no other.
	Repository string
	Digest     release.Digest
}

// Compare compares what was published as an image with what was rebuilt. It returns
// nothing for equal digests. Otherwise what differs is sure, and it goes down to what
// the difference comes from; where it cannot be read, the difference says why. The
// error is for an image that is not there to be compared, and for a ctx that ended.
func Compare(ctx context.Context, image string, published, rebuilt Side, limits Limits) ([]Difference, error) {
	if published.Digest == rebuilt.Digest {
		return nil, nil
	}
	c := &imageComparer{comparer: comparer{limits: limits.with(ctx), place: Difference{Image: image}}, published: published, rebuilt: rebuilt}
	a, err := published.Source.Manifest(ctx, published.Repository, string(published.Digest))
	if err != nil {
		return nil, fmt.Errorf("compare %s: the published image: %w", image, err)
	}
	b, err := rebuilt.Source.Manifest(ctx, rebuilt.Repository, string(rebuilt.Digest))
	if err != nil {
		return nil, fmt.Errorf("compare %s: the rebuilt image: %w", image, err)
	}
	if err := c.top(ctx, a, b); err != nil {
		return nil, fmt.Errorf("compare %s: %w", image, err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("compare %s: %w", image, err)
	}
	if c.left > 0 {
		c.found[len(c.found)-1].Shallow = fmt.Sprintf("%d more differences of %s are not told", c.left, image)
	}
	return sorted(c.found), nil
}

type imageComparer struct {
	comparer

	published, rebuilt Side
}

// top compares what the two digests name: two indexes, or two manifests.
func (c *imageComparer) top(ctx context.Context, a, b registry.Content) error {
	indexA, indexB := types.MediaType(a.MediaType).IsIndex(), types.MediaType(b.MediaType).IsIndex()
	if a.MediaType != b.MediaType {
		c.add(LevelIndex, "", field{"mediaType", clip(a.MediaType), clip(b.MediaType)})
	}
	switch {
	case indexA != indexB:
		return nil
	case indexA:
		return c.index(ctx, a, b)
	default:
		return c.manifest(ctx, a, b)
	}
}

func (c *imageComparer) index(ctx context.Context, a, b registry.Content) error {
	one, err := v1.ParseIndexManifest(bytes.NewReader(a.Body))
	if err != nil {
		return fmt.Errorf("the published index: %w", err)
	}
	other, err := v1.ParseIndexManifest(bytes.NewReader(b.Body))
	if err != nil {
		return fmt.Errorf("the rebuilt index: %w", err)
	}
	if len(one.Manifests) > maxPlatforms || len(other.Manifests) > maxPlatforms {
		return fmt.Errorf("%w: expected an index of at most %d manifests, found %d published and %d rebuilt",
			errTooLarge, maxPlatforms, len(one.Manifests), len(other.Manifests))
	}
	before := len(c.found)
	c.documents(LevelIndex, a.Body, b.Body, func(path string) bool { return path == "manifests" || path == "mediaType" })
	platformsA, orderA := byPlatform(one.Manifests)
	platformsB, orderB := byPlatform(other.Manifests)
	for _, platform := range inBoth(orderA, orderB) {
		descA, isA := platformsA[platform]
		descB, isB := platformsB[platform]
		switch {
		case !isB:
			c.add(LevelIndex, "", field{"platform " + clip(platform), descA.Digest.String(), absent})
		case !isA:
			c.add(LevelIndex, "", field{"platform " + clip(platform), absent, descB.Digest.String()})
		default:
			if err := c.platform(ctx, platform, descA, descB); err != nil {
				return err
			}
		}
	}
	if len(c.found) == before && !slices.Equal(orderA, orderB) {
		c.add(LevelIndex, "", field{"order of platforms", strings.Join(orderA, ", "), strings.Join(orderB, ", ")})
	}
	c.orBytes(before, LevelIndex, a.Body, b.Body)
	return nil
}

// byPlatform names the manifests of an index. One that shares its platform with others
// is told by its place among them.
func byPlatform(manifests []v1.Descriptor) (map[string]v1.Descriptor, []string) {
	all := make(map[string]v1.Descriptor, len(manifests))
	var order []string
	for i := range manifests {
		name := "unknown"
		if p := manifests[i].Platform; p != nil {
			name = release.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}.String()
		}
		if kind := manifests[i].Annotations["vnd.docker.reference.type"]; kind != "" {
			name += " " + kind
		}
		for n, plain := 2, name; ; n++ {
			if _, taken := all[name]; !taken {
				break
			}
			name = fmt.Sprintf("%s #%d", plain, n)
		}
		all[name] = manifests[i]
		order = append(order, name)
	}
	return all, order
}

// inBoth is the names of one list, and then those that only the other has.
func inBoth(a, b []string) []string {
	all := slices.Clone(a)
	for _, name := range b {
		if !slices.Contains(a, name) {
			all = append(all, name)
		}
	}
	return all
}

// platform compares the manifests that two descriptors name, and what the descriptors
// say besides.
func (c *imageComparer) platform(ctx context.Context, platform string, a, b v1.Descriptor) error {
	if a.Digest == b.Digest {
		// The same manifest, described otherwise.
		one, other := described(a), described(b)
		for _, f := range compareJSON(one, other, func(string) bool { return false }) {
			c.add(LevelIndex, "", field{"descriptor of " + clip(platform) + " " + f.path, f.published, f.rebuilt})
		}
		return nil
	}
	c.place.Platform = platform
	defer func() { c.place.Platform = "" }()
	one, err := c.published.Source.Manifest(ctx, c.published.Repository, a.Digest.String())
	if err != nil {
		c.add(LevelManifest, "", field{"digest", a.Digest.String(), b.Digest.String()}).Shallow = "the published one: " + err.Error()
		return context.Cause(ctx)
	}
	other, err := c.rebuilt.Source.Manifest(ctx, c.rebuilt.Repository, b.Digest.String())
	if err != nil {
		c.add(LevelManifest, "", field{"digest", a.Digest.String(), b.Digest.String()}).Shallow = "the rebuilt one: " + err.Error()
		return context.Cause(ctx)
	}
	return c.manifest(ctx, one, other)
}

// described is a descriptor as a JSON value. It was read as one.
func described(desc v1.Descriptor) any {
	b, err := json.Marshal(desc)
	if err != nil {
		return nil
	}
	value, err := decode(b)
	if err != nil {
		return nil
	}
	return value
}

func (c *imageComparer) manifest(ctx context.Context, a, b registry.Content) error {
	one, errA := v1.ParseManifest(bytes.NewReader(a.Body))
	other, errB := v1.ParseManifest(bytes.NewReader(b.Body))
	if errA != nil || errB != nil {
		c.add(LevelManifest, "", field{"content", string(a.Digest), string(b.Digest)}).Shallow = firstOf(errA, errB)
		return nil
	}
	if len(one.Layers) > maxLayers || len(other.Layers) > maxLayers {
		c.add(LevelManifest, "", field{"layers", fmt.Sprint(len(one.Layers)), fmt.Sprint(len(other.Layers))}).Shallow = errTooLarge.Error()
		return nil
	}
	before := len(c.found)
	// What the configuration and the layers are comes below; here is what else the
	// manifest says.
	c.documents(LevelManifest, a.Body, b.Body, func(path string) bool {
		return path == "layers" || path == "config.digest" || path == "config.size"
	})
	history, err := c.config(ctx, one, other)
	if err != nil {
		return err
	}
	if err := c.layers(ctx, one.Layers, other.Layers, history); err != nil {
		return err
	}
	c.orBytes(before, LevelManifest, a.Body, b.Body)
	return nil
}

func firstOf(errs ...error) string {
	for _, err := range errs {
		if err != nil {
			return err.Error()
		}
	}
	return ""
}

// config compares the configurations, and returns the steps that made the published
// layers. What layers the configuration lists is told by the layers.
func (c *imageComparer) config(ctx context.Context, a, b *v1.Manifest) ([]step, error) {
	one, err := blob(ctx, c.published, a.Config.Digest, maxConfig)
	if err != nil {
		c.add(LevelConfig, "", field{"content", a.Config.Digest.String(), b.Config.Digest.String()}).Shallow = "the published one: " + err.Error()
		return nil, context.Cause(ctx)
	}
	steps := stepsOf(one)
	if a.Config.Digest == b.Config.Digest {
		return steps, nil
	}
	other, err := blob(ctx, c.rebuilt, b.Config.Digest, maxConfig)
	if err != nil {
		c.add(LevelConfig, "", field{"content", a.Config.Digest.String(), b.Config.Digest.String()}).Shallow = "the rebuilt one: " + err.Error()
		return steps, context.Cause(ctx)
	}
	before := len(c.found)
	c.documents(LevelConfig, one, other, func(path string) bool { return strings.HasPrefix(path, "rootfs") })
	if len(c.found) == before && !layersDiffer(a, b) {
		c.documents(LevelConfig, one, other, func(string) bool { return false })
		c.orBytes(before, LevelConfig, one, other)
	}
	return steps, nil
}

func layersDiffer(a, b *v1.Manifest) bool {
	return !slices.EqualFunc(a.Layers, b.Layers, func(x, y v1.Descriptor) bool { return x.Digest == y.Digest })
}

// documents compares two JSON documents field by field.
func (c *imageComparer) documents(level Level, a, b []byte, skip func(string) bool) {
	one, errA := decode(a)
	other, errB := decode(b)
	if errA != nil || errB != nil {
		c.add(level, "", field{"content", sum(a), sum(b)}).Shallow = firstOf(errA, errB)
		return
	}
	for _, f := range compareJSON(one, other, skip) {
		c.add(level, "", f)
	}
}

// orBytes tells where two documents part that say the same, if nothing else was told
// since before.
func (c *imageComparer) orBytes(before int, level Level, a, b []byte) {
	if len(c.found) > before || c.left > 0 || bytes.Equal(a, b) {
		return
	}
	d := c.add(level, "", field{"JSON", "written otherwise", "with equal values"})
	d.Bytes, _ = firstDifference(bytes.NewReader(a), bytes.NewReader(b))
}

func blob(ctx context.Context, side Side, hash v1.Hash, limit int64) ([]byte, error) {
	digest, err := release.ParseDigest(hash.String())
	if err != nil {
		return nil, err
	}
	return side.Source.Blob(ctx, side.Repository, digest, limit)
}

func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(digest[:])
}
