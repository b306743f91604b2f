package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// defaultPaperSize is used when Config has none: the largest SBOMs of public
	// images have about 20 MiB, and base64 makes a third more of them.
	defaultPaperSize = 32 << 20
	// maxPlatforms bounds the manifests of one index, as in package registry.
	maxPlatforms = 64
	// subjectsAtOnce is how many digests of an image are looked at side by side.
	subjectsAtOnce = 4
)

// Config says what to trust, and how much to read.
type Config struct {
	Trust Trust
	// MaxPaperSize bounds one paper, in bytes; 32 MiB when zero. A larger one is
	// unknown.
	MaxPaperSize int64
	// Listed is what the place is called where the source lists referrers;
	// [release.LayoutReferrers] when empty.
	Listed release.Layout
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
}

// Examiner examines images. It is safe for concurrent use.
type Examiner struct {
	source Source
	trust  *trust
	limit  int64
	listed release.Layout
	now    func() time.Time
}

// New returns an examiner. The error has every mistake in the configuration.
func New(source Source, cfg Config) (*Examiner, error) {
	checked, err := compile(cfg.Trust)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	e := &Examiner{source: source, trust: checked, limit: cfg.MaxPaperSize, listed: cfg.Listed, now: cfg.Now}
	if e.limit <= 0 {
		e.limit = defaultPaperSize
	}
	if e.listed == "" {
		e.listed = release.LayoutReferrers
	}
	if e.now == nil {
		e.now = time.Now
	}
	return e, nil
}

// subject is a digest whose papers are looked for.
type subject struct {
	digest release.Digest
	on     string
	// inIndex are the attestations that the index holds for it.
	inIndex []v1.Descriptor
}

// Examine finds and verifies the papers of an image: of its index and of each
// platform manifest. What cannot be found out is unknown in the result; the error
// is for a digest or repository that is malformed, and for a ctx that ended.
func (e *Examiner) Examine(ctx context.Context, repository string, digest release.Digest) (release.Examination, error) {
	if _, err := release.ParseDigest(string(digest)); err != nil {
		return release.Examination{}, fmt.Errorf("examine %s: %w", repository, err)
	}
	result := release.Examination{Repository: repository, Digest: digest, At: e.now().UTC()}
	subjects, gap, err := e.subjects(ctx, repository, digest)
	if err != nil {
		return release.Examination{}, fmt.Errorf("examine %s@%s: %w", repository, digest, err)
	}
	if gap != nil {
		result.Gaps = []release.Gap{*gap}
		result.Evidence = pieces(subject{digest: digest, on: "image"}, nil, result.Gaps)
		return result, nil
	}
	parts := make([]release.Examination, len(subjects))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(subjectsAtOnce)
	for i, s := range subjects {
		group.Go(func() (err error) {
			parts[i], err = e.examineSubject(gctx, repository, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return release.Examination{}, fmt.Errorf("examine %s@%s: %w", repository, digest, err)
	}
	for _, part := range parts {
		result.Evidence = append(result.Evidence, part.Evidence...)
		result.Other = append(result.Other, part.Other...)
		result.Gaps = append(result.Gaps, part.Gaps...)
	}
	return result, nil
}

// subjects reads the index. A gap says why it could not be read; without it nobody
// knows which platforms there are.
func (e *Examiner) subjects(ctx context.Context, repository string, digest release.Digest) ([]subject, *release.Gap, error) {
	content, err := e.source.Manifest(ctx, repository, string(digest))
	if err != nil {
		var failed *registry.Error
		if !errors.As(err, &failed) {
			return nil, nil, err
		}
		return nil, &release.Gap{
			Subject: digest, Kinds: anyKind(), Cause: failed.Cause, RetryAfter: failed.RetryAfter,
			Reason: "image: " + clip(failed.Reason()),
		}, nil
	}
	all, err := subjectsOf(content)
	if err != nil {
		return nil, &release.Gap{
			Subject: digest, Kinds: anyKind(), Cause: release.CauseInvalid, Reason: "image: " + clip(err.Error()),
		}, nil
	}
	return all, nil, nil
}

func subjectsOf(content registry.Content) ([]subject, error) {
	if !types.MediaType(content.MediaType).IsIndex() {
		return []subject{{digest: content.Digest, on: "image"}}, nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return nil, fmt.Errorf("expected an index: %w", err)
	}
	all := []subject{{digest: content.Digest, on: "index"}}
	attestations := make(map[string][]v1.Descriptor)
	for _, desc := range index.Manifests {
		if of := desc.Annotations["vnd.docker.reference.digest"]; desc.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			attestations[of] = append(attestations[of], desc)
			continue
		}
		if !desc.MediaType.IsImage() {
			continue
		}
		platform := release.Platform{}
		if p := desc.Platform; p != nil {
			platform = release.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
		}
		child, err := release.ParseDigest(desc.Digest.String())
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(s subject) bool { return s.digest == child }) {
			continue
		}
		if len(all) > maxPlatforms {
			return nil, fmt.Errorf("expected at most %d platforms", maxPlatforms)
		}
		all = append(all, subject{digest: child, on: platform.String()})
	}
	for i := range all {
		all[i].inIndex = attestations[string(all[i].digest)]
	}
	return all, nil
}

func (e *Examiner) examineSubject(ctx context.Context, repository string, s subject) (release.Examination, error) {
	v := &visit{source: e.source, repository: repository, subject: s.digest, limit: e.limit, listed: e.listed}
	if err := v.find(ctx, s.inIndex); err != nil {
		return release.Examination{}, err
	}
	found := make([]struct {
		paper release.Paper
		gap   *release.Gap
	}, len(v.leaves))
	each(len(v.leaves), func(i int) { found[i].paper, found[i].gap = e.read(ctx, v, v.leaves[i]) })
	var papers []release.Paper
	for i := range found {
		if found[i].gap != nil {
			v.gaps = append(v.gaps, *found[i].gap)
			continue
		}
		papers = append(papers, found[i].paper)
	}
	if err := context.Cause(ctx); err != nil {
		return release.Examination{}, err
	}
	return release.Examination{Evidence: pieces(s, papers, v.gaps), Other: others(papers), Gaps: v.gaps}, nil
}

// read fetches a paper and verifies it. It returns a gap when the paper cannot be had.
func (e *Examiner) read(ctx context.Context, v *visit, l leaf) (release.Paper, *release.Gap) {
	kinds := mayBe(l.format, l.layer.Annotations, l.annotations)
	where := string(l.layouts[0]) + ": " + string(l.format)
	missed := func(err error) (release.Paper, *release.Gap) {
		gap := v.gap(kinds, where, err)
		return release.Paper{}, &gap
	}
	digest, err := release.ParseDigest(l.layer.Digest.String())
	if err != nil {
		return missed(err)
	}
	where += " " + digest.Short()
	if l.layer.Size > v.limit {
		return missed(fmt.Errorf("%w: expected at most %d bytes, found %d", registry.ErrTooLarge, v.limit, l.layer.Size))
	}
	var blob []byte
	err = v.ask(func() (err error) {
		blob, err = v.source.Blob(ctx, v.repository, digest, v.limit)
		return err
	})
	if err != nil {
		return missed(err)
	}
	paper := release.Paper{Found: l.layouts, Manifest: l.manifest, Blob: digest, LogIndex: -1}
	e.trust.assess(l, blob, v.subject, &paper)
	if paper.Kind == "" && len(kinds) > 1 {
		// It may be the one paper that is looked for, so that no kind is absent.
		return missed(errors.New(paper.Reason))
	}
	if paper.Kind == "" {
		paper.Kind = kinds[0]
	}
	return paper, nil
}

// pieces sorts papers into one piece for each kind.
func pieces(s subject, papers []release.Paper, gaps []release.Gap) []release.Evidence {
	all := make([]release.Evidence, 0, len(release.PaperKinds()))
	for _, kind := range release.PaperKinds() {
		piece := release.Evidence{Kind: kind, Subject: s.digest, On: s.on}
		for _, paper := range papers {
			if paper.Kind == kind {
				piece.Papers = append(piece.Papers, paper)
			}
		}
		slices.SortStableFunc(piece.Papers, better)
		piece.State, piece.Reason = conclude(piece.Papers, missing(kind, gaps))
		all = append(all, piece)
	}
	return all
}

func others(papers []release.Paper) []release.Paper {
	var rest []release.Paper
	for _, paper := range papers {
		if paper.Kind == release.PaperOther {
			rest = append(rest, paper)
		}
	}
	slices.SortStableFunc(rest, better)
	return rest
}

// better puts verified papers first, then those that are unknown, then the
// invalid; among equals the newest, and after that the digest makes it the same
// order each time.
func better(a, b release.Paper) int {
	rank := map[release.State]int{release.StateVerified: 0, release.StateUnknown: 1, release.StateInvalid: 2}
	return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), b.SignedAt.Compare(a.SignedAt),
		cmp.Compare(a.Blob, b.Blob), cmp.Compare(a.Manifest, b.Manifest))
}

func missing(kind release.PaperKind, gaps []release.Gap) []string {
	var reasons []string
	for _, gap := range gaps {
		if slices.Contains(gap.Kinds, kind) {
			reasons = append(reasons, gap.Reason)
		}
	}
	return reasons
}

// conclude makes a state of the papers of one kind, best first, and of the places
// that could not be looked at.
func conclude(papers []release.Paper, missing []string) (release.State, string) {
	count := make(map[release.State]int)
	for _, paper := range papers {
		count[paper.State]++
	}
	beside := ""
	if n := count[release.StateInvalid]; n > 0 {
		beside = fmt.Sprintf("; beside it %d that %s not hold: %s", n, plural(n, "does", "do"), papers[len(papers)-1].Reason)
	}
	switch {
	case count[release.StateVerified] > 0:
		best := papers[0]
		reason := "signed by " + best.Signer.String()
		if !best.SignedAt.IsZero() {
			reason += " at " + best.SignedAt.Format(time.RFC3339)
		}
		return release.StateVerified, reason + " (" + where(best) + ")" + beside
	case len(missing) > 0:
		reason := missing[0]
		if len(missing) > 1 {
			reason += fmt.Sprintf("; and %d more that could not be read", len(missing)-1)
		}
		return release.StateUnknown, reason + beside
	case count[release.StateUnknown] > 0:
		return release.StateUnknown, papers[0].Reason + beside
	case len(papers) > 0:
		reason := papers[0].Reason + " (" + where(papers[0]) + ")"
		if n := len(papers) - 1; n > 0 {
			reason += fmt.Sprintf("; and %d more that %s not hold", n, plural(n, "does", "do"))
		}
		return release.StateInvalid, reason
	default:
		return release.StateAbsent, "none in the referrers, under the tags of cosign, or in the index"
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func where(p release.Paper) string {
	names := make([]string, 0, len(p.Found))
	for _, layout := range p.Found {
		names = append(names, string(layout))
	}
	return strings.Join(names, ", ")
}
