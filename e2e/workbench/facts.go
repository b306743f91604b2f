package workbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Facts is what an outsider with the public key finds out about a released
// image.
type Facts struct {
	Image    release.Image
	Tags     []string // that name the image, papers' tags left out
	Papers   int      // signatures and attestations that verified
	Packages int      // in the SPDX document of the first platform
	Build    time.Duration
	// Critical and Raw are the critical findings that the gate counted, after and before
	// VEX.
	Critical, Raw int
}

// Inspect verifies every paper of repository:tag and reads what they say.
func (b *Bench) Inspect(ctx context.Context, publicKey, repository, tag string) (Facts, error) {
	client := registry.NewPublisher(registry.Config{Timeout: time.Minute, UserAgent: "tallyman-e2e"})
	img, err := client.Describe(ctx, repository, tag)
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{Image: img}
	if facts.Tags, err = tagsOf(ctx, client, img); err != nil {
		return Facts{}, err
	}
	verifier, err := cosign.New(ctx, b.Tools, cosign.Identity{PublicKey: publicKey}, b.Dir)
	if err != nil {
		return Facts{}, err
	}
	for _, subject := range append([]release.Digest{img.Digest}, digests(img)...) {
		ref := repository + "@" + string(subject)
		if err := verifier.Verify(ctx, ref); err != nil {
			return Facts{}, err
		}
		facts.Papers++
		for _, kind := range []string{cosign.SPDX, cosign.CycloneDX, cosign.Provenance, cosign.Summary} {
			predicates, err := verifier.Attestations(ctx, ref, kind)
			if err != nil {
				return Facts{}, err
			}
			facts.Papers += len(predicates)
			if err := facts.read(kind, predicates[0]); err != nil {
				return Facts{}, fmt.Errorf("%s of %s: %w", kind, ref, err)
			}
		}
	}
	return facts, nil
}

func (f *Facts) read(kind string, predicate json.RawMessage) error {
	switch kind {
	case cosign.SPDX:
		var document struct {
			Packages []json.RawMessage `json:"packages"`
		}
		if err := json.Unmarshal(predicate, &document); err != nil {
			return err
		}
		f.Packages = len(document.Packages)
	case cosign.Provenance:
		var p provenance.Predicate
		if err := json.Unmarshal(predicate, &p); err != nil {
			return err
		}
		f.Build = p.RunDetails.Metadata.FinishedOn.Sub(p.RunDetails.Metadata.StartedOn)
	case cosign.Summary:
		r, err := receipt.Read(predicate)
		if err != nil {
			return err
		}
		if r.Counts == nil || r.Raw == nil {
			return errors.New("the gate receipt has no counts")
		}
		f.Critical, f.Raw = r.Counts.Critical, r.Raw.Critical
	}
	return nil
}

func digests(img release.Image) []release.Digest {
	var all []release.Digest
	for _, platform := range img.Platforms {
		all = append(all, platform.Digest)
	}
	return all
}

func tagsOf(ctx context.Context, client *registry.Publisher, img release.Image) ([]string, error) {
	all, err := client.Tags(ctx, img.Repository)
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, tag := range all {
		if release.KindOfTag(tag) == release.TagPaper {
			continue
		}
		named, err := client.Describe(ctx, img.Repository, tag)
		if err != nil {
			return nil, err
		}
		if named.Digest == img.Digest {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags, nil
}

// WriteTable writes one row an image.
func WriteTable(w io.Writer, all []Facts) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) } //nolint:errcheck // Flush tells
	row("IMAGE", "DIGEST", "TAGS", "PAPERS VERIFIED", "CRITICAL AT THE GATE", "PACKAGES", "SIZE", "BUILD")
	for _, f := range all {
		var sizes []string
		for _, platform := range f.Image.Platforms {
			sizes = append(sizes, fmt.Sprintf("%s %.1f MB", platform.Architecture, float64(platform.CompressedSize)/1e6))
		}
		tags := slices.DeleteFunc(slices.Clone(f.Tags), func(t string) bool { return release.KindOfTag(t) == release.TagCommit })
		row(f.Image.Repository[strings.IndexByte(f.Image.Repository, '/')+1:], f.Image.Digest.Short(), strings.Join(tags, " "),
			fmt.Sprint(f.Papers), fmt.Sprintf("%d (before VEX %d)", f.Critical, f.Raw), fmt.Sprint(f.Packages), strings.Join(sizes, ", "), f.Build.Round(100*time.Millisecond).String())
	}
	return table.Flush()
}
