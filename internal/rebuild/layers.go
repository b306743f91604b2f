package rebuild

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// builtComment is what BuildKit writes beside the steps of a Dockerfile that it ran.
// Steps of the base image have what its builder wrote.
const builtComment = "buildkit.dockerfile.v0"

// layers compares the layers in pairs. Those that both have at the bottom and at the
// top are put aside; the rest is paired from the top, where the release's own are.
func (c *imageComparer) layers(ctx context.Context, a, b []v1.Descriptor, steps []step) error {
	bottom := 0
	for bottom < min(len(a), len(b)) && a[bottom].Digest == b[bottom].Digest {
		bottom++
	}
	top := 0
	for top < min(len(a), len(b))-bottom && a[len(a)-1-top].Digest == b[len(b)-1-top].Digest {
		top++
	}
	restA, restB := a[bottom:len(a)-top], b[bottom:len(b)-top]
	defer func() { c.place.Layer, c.place.LayerBy, c.place.base = 0, "", false }()
	for i := range max(len(restA), len(restB)) {
		// Counted from the bottom, with the shorter side's layers on top of the longer's.
		one, other := i-(max(len(restA), len(restB))-len(restA)), i-(max(len(restA), len(restB))-len(restB))
		number := bottom + max(one, 0) + 1
		if one < 0 {
			number = bottom + i + 1
		}
		c.place.Layer, c.place.LayerBy, c.place.base = number, "", one < 0 && bottom+i < len(a)
		if at := bottom + one; one >= 0 && at < len(steps) {
			c.place.LayerBy, c.place.base = clip(steps[at].CreatedBy), steps[at].Comment != builtComment
		}
		switch {
		case one < 0:
			c.add(LevelLayer, "", field{"layer", absent, restB[other].Digest.String()})
		case other < 0:
			c.add(LevelLayer, "", field{"layer", restA[one].Digest.String(), absent})
		default:
			if err := c.layer(ctx, restA[one], restB[other]); err != nil {
				return err
			}
		}
	}
	return nil
}

// step is one of a configuration's history.
type step struct {
	CreatedBy  string `json:"created_by"`
	Comment    string `json:"comment"`
	EmptyLayer bool   `json:"empty_layer"`
}

// stepsOf returns the steps that made the layers, one for each (image specification,
// config.md, "history": an empty_layer has none); none where the configuration does not
// tell.
func stepsOf(config []byte) []step {
	var c struct {
		History []step `json:"history"`
	}
	if json.Unmarshal(config, &c) != nil {
		return nil
	}
	return slices.DeleteFunc(c.History, func(s step) bool { return s.EmptyLayer })
}

func (c *imageComparer) layer(ctx context.Context, a, b v1.Descriptor) error {
	if a.MediaType != b.MediaType {
		c.add(LevelLayer, "", field{"mediaType", clip(string(a.MediaType)), clip(string(b.MediaType))})
	}
	if a.Digest == b.Digest {
		return nil
	}
	digests := field{"digest", a.Digest.String(), b.Digest.String()}
	for _, desc := range []struct {
		which string
		size  int64
	}{{"published", a.Size}, {"rebuilt", b.Size}} {
		if desc.size > c.limits.Blob {
			c.add(LevelLayer, "", digests).Shallow = fmt.Sprintf("%v: the %s one has %d bytes, expected at most %d", errTooLarge, desc.which, desc.size, c.limits.Blob)
			return nil
		}
	}
	one, err := blob(ctx, c.published, a.Digest, c.limits.Blob)
	if err != nil {
		c.add(LevelLayer, "", digests).Shallow = "the published one: " + err.Error()
		return context.Cause(ctx)
	}
	other, err := blob(ctx, c.rebuilt, b.Digest, c.limits.Blob)
	if err != nil {
		c.add(LevelLayer, "", digests).Shallow = "the rebuilt one: " + err.Error()
		return context.Cause(ctx)
	}
	c.archives(LevelLayer, one, other)
	return nil
}
