package dossier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxPapers bounds the papers of an image.
	maxPapers = 1_000
	// maxGenerations bounds papers about papers, such as the signature of an SBOM that
	// was attached.
	maxGenerations = 3
	// subjectsAtOnce is how many digests are looked at side by side.
	subjectsAtOnce = 4
)

// paper is a manifest that lies beside an image.
type paper struct {
	// tag is what it lies under; empty for one that lies there as a referrer.
	tag    string
	digest release.Digest
	size   int64
	// mediaType is that of the manifest.
	mediaType string
	// held: what lies under the tag at the target of a copy holds all of it, and more.
	held bool
}

// Suffixes of the tags that papers lie under; the first is the list of referrers where
// the registry keeps none (distribution specification, "Referrers Tag Schema").
func suffixes() []string { return []string{"", ".sig", ".att", ".sbom"} }

// findPapers looks for papers of all subjects, and for papers of those. A place that
// cannot be looked at is an error: what is not known is not absent. The order is the
// same each time.
func findPapers(ctx context.Context, at place, subjects []release.Digest) ([]paper, error) {
	var all []paper
	seen := make(map[release.Digest]bool)
	for range maxGenerations {
		for _, subject := range subjects {
			seen[subject] = true
		}
		found := make([][]paper, len(subjects))
		group, gctx := errgroup.WithContext(ctx)
		group.SetLimit(subjectsAtOnce)
		for i, subject := range subjects {
			group.Go(func() (err error) {
				found[i], err = papersOf(gctx, at, subject)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		subjects = nil
		for _, p := range slices.Concat(found...) {
			if slices.ContainsFunc(all, func(q paper) bool { return q.tag == p.tag && q.digest == p.digest }) {
				continue
			}
			if all = append(all, p); len(all) > maxPapers {
				return nil, fmt.Errorf("%w: expected at most %d papers", ErrLimit, maxPapers)
			}
			if !seen[p.digest] {
				subjects = append(subjects, p.digest)
			}
		}
		if len(subjects) == 0 {
			break
		}
	}
	return tidy(all), nil
}

// tidy leaves out referrers that lie under a tag as well, and sorts.
func tidy(papers []paper) []paper {
	tagged := make(map[release.Digest]bool)
	for _, p := range papers {
		tagged[p.digest] = tagged[p.digest] || p.tag != ""
	}
	papers = slices.DeleteFunc(papers, func(p paper) bool { return p.tag == "" && tagged[p.digest] })
	slices.SortFunc(papers, func(a, b paper) int {
		if a.tag != b.tag {
			return strings.Compare(a.tag, b.tag)
		}
		return strings.Compare(string(a.digest), string(b.digest))
	})
	return papers
}

// papersOf returns what lies beside one digest.
func papersOf(ctx context.Context, at place, subject release.Digest) ([]paper, error) {
	var found []paper
	take := func(tag, named string) error {
		content, err := at.source.Manifest(ctx, at.repository, named)
		if err != nil {
			return err
		}
		found = append(found, paper{tag: tag, digest: content.Digest, size: int64(len(content.Body)), mediaType: content.MediaType})
		return nil
	}
	listed, err := at.source.Referrers(ctx, at.repository, subject)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	for _, desc := range listed {
		if err := take("", desc.Digest.String()); err != nil {
			return nil, fmt.Errorf("referrer of %s: %w", subject, err)
		}
	}
	for _, suffix := range suffixes() {
		tag := registry.FallbackTag(subject, suffix)
		if err := take(tag, tag); err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return found, nil
}

func isNotFound(err error) bool {
	var failed *registry.Error
	return errors.As(err, &failed) && failed.Cause == release.CauseNotFound
}

// listedIn returns what an index lists; nothing of what is no index.
func listedIn(content registry.Content) []v1.Descriptor {
	if !types.MediaType(content.MediaType).IsIndex() {
		return nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return nil
	}
	return index.Manifests
}

// descriptor is the paper's entry in index.json.
func (p paper) descriptor() v1.Descriptor {
	desc := v1.Descriptor{MediaType: types.MediaType(p.mediaType), Digest: hashOf(p.digest), Size: p.size}
	if p.tag != "" {
		desc.Annotations = map[string]string{annotationName: p.tag}
	}
	return desc
}
