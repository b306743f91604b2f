package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// paperKinds are the attestations that every digest of a release carries.
var paperKinds = []string{cosign.SPDX, cosign.CycloneDX, cosign.Provenance, cosign.Summary} //nolint:gochecknoglobals // a constant list

// Checked is one paper of one digest, and what verifying it gave.
type Checked struct {
	Subject release.Digest
	What    string // "index" or the platform
	Paper   string // "signature" or a predicate type
	Found   int    // attestations that verified
	Err     error
}

// Verify checks every paper of an image as an outsider would, with nothing but
// the registry and the identity, and writes what it found as a table.
func (p *Pipeline) Verify(ctx context.Context, img Image) error {
	client, err := p.signer(ctx)
	if err != nil {
		return err
	}
	reference := or(string(img.Digest), img.Tag)
	if reference == "" {
		return fmt.Errorf("image %s: expected a tag or a digest", img.Repository)
	}
	published, err := p.Registry.Describe(ctx, img.Repository, reference)
	if err != nil {
		return fmt.Errorf("verify %s: %w", img.Repository, err)
	}
	checked, err := p.verifyPapers(ctx, client, img, published)
	table := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s\t\t\n", img.Repository, published.Digest) //nolint:errcheck // flushed below
	for _, c := range checked {
		state := "verified"
		if c.Err != nil {
			state = "NOT VERIFIED"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.What, c.Subject.Short(), c.Paper, state) //nolint:errcheck // flushed below
	}
	return errors.Join(table.Flush(), err)
}

// verifyPapers checks the signature and the attestations of the index and of
// each platform.
func (p *Pipeline) verifyPapers(ctx context.Context, client *cosign.Client, img Image, published release.Image) ([]Checked, error) {
	what := map[release.Digest]string{published.Digest: "index"}
	for _, platform := range published.Platforms {
		what[platform.Digest] = platform.String()
	}
	var checks []Checked
	for _, subject := range subjects(published) {
		for _, kind := range append([]string{"signature"}, paperKinds...) {
			checks = append(checks, Checked{Subject: subject, What: what[subject], Paper: kind})
		}
	}
	var group errgroup.Group
	group.SetLimit(4)
	for i := range checks {
		group.Go(func() error {
			checks[i].Found, checks[i].Err = checkPaper(ctx, client, img.At(checks[i].Subject), checks[i].Paper, published)
			return nil
		})
	}
	_ = group.Wait() // each check keeps its own error
	var failed []error
	for _, c := range checks {
		if c.Err != nil {
			failed = append(failed, c.Err)
		}
	}
	return checks, errors.Join(failed...)
}

func checkPaper(ctx context.Context, client *cosign.Client, ref, kind string, published release.Image) (int, error) {
	if kind == "signature" {
		return 1, client.Verify(ctx, ref)
	}
	predicates, err := client.Attestations(ctx, ref, kind)
	if err != nil {
		return 0, err
	}
	if len(predicates) == 0 {
		return 0, fmt.Errorf("verify %s attestation of %s: none", kind, ref)
	}
	commit := published.Revision
	if kind == cosign.Provenance && !slices.ContainsFunc(predicates, func(raw json.RawMessage) bool { return namesCommit(raw, commit) }) {
		return 0, fmt.Errorf("verify %s: no provenance names the commit that the image names, %s", ref, or(commit, "none"))
	}
	if kind == cosign.Summary && !slices.ContainsFunc(predicates, func(raw json.RawMessage) bool { return letsOut(raw, published.Digest) }) {
		return 0, fmt.Errorf("verify %s: no verification summary says that %s passed", ref, published.Digest)
	}
	return len(predicates), nil
}

// letsOut reports whether a gate receipt says that the image passed.
func letsOut(raw json.RawMessage, image release.Digest) bool {
	r, err := receipt.Read(raw)
	return err == nil && r.Result == receipt.Passed && r.Of(string(image))
}

func namesCommit(raw json.RawMessage, commit string) bool {
	var predicate provenance.Predicate
	if json.Unmarshal(raw, &predicate) != nil || commit == "" {
		return false
	}
	return slices.ContainsFunc(predicate.BuildDefinition.ResolvedDependencies, func(d provenance.Descriptor) bool {
		return d.Digest["gitCommit"] == commit
	})
}
