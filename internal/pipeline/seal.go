package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Clock notes that the publishing build of img starts now. The rehearsal's own
// build, which runs the same hooks, is not timed.
func (p *Pipeline) Clock(img Image) error {
	if p.Getenv("TALLYMAN_REHEARSAL") != "" {
		return nil
	}
	return writeFile(p.rehearsal("clock", img.Name()), []byte(p.Now().UTC().Format(time.RFC3339Nano)))
}

func (p *Pipeline) started(img Image) (time.Time, error) {
	content, err := os.ReadFile(p.rehearsal("clock", img.Name()))
	if err != nil {
		return time.Time{}, fmt.Errorf("start of the build of %s: %w", img.Name(), err)
	}
	return time.Parse(time.RFC3339Nano, string(content))
}

func (p *Pipeline) signer(ctx context.Context) (*cosign.Client, error) {
	return cosign.New(ctx, p.Tools, p.Identity, p.rehearsal())
}

// Sealed is what Seal is told of the image.
type Sealed struct {
	Version string
	Commit  string
	Source  string // https URL of the repository
	Image   Image  // with its digest
}

// Seal puts the papers on a pushed image: a signature on the index and on each
// platform manifest; on each platform its SPDX and CycloneDX SBOM, and on the
// index those of every platform, so that an auditor who has only the tag finds
// them; SLSA provenance and the gate's receipt on all of them, and what the gate believed
// of VEX.
func (p *Pipeline) Seal(ctx context.Context, s Sealed) error {
	finished := p.Now()
	tag, err := versionTag(s.Version)
	if err != nil {
		return err
	}
	if err := p.checkRehearsed(s.Image, s.Image.Digest); err != nil {
		return err
	}
	pushed, err := p.Registry.Describe(ctx, s.Image.Repository, string(s.Image.Digest))
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.Image.At(s.Image.Digest), err)
	}
	if err := p.checkGate(s.Image); err != nil {
		return err
	}
	predicate, err := p.provenance(ctx, s, tag, pushed, finished)
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.Image.At(s.Image.Digest), err)
	}
	papers, err := p.papers(s.Image, pushed, predicate)
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.Image.At(s.Image.Digest), err)
	}
	client, err := p.signer(ctx)
	if err != nil {
		return err
	}
	there, err := p.paperTags(ctx, s.Image)
	if err != nil {
		return err
	}
	if err := p.sign(ctx, client, s.Image, pushed, there); err != nil {
		return err
	}
	return p.attest(ctx, client, s.Image, papers, there)
}

// paper is one predicate for one digest.
type paper struct {
	subject release.Digest
	kind    string // predicate type, as cosign names it
	file    string
}

// papers lists all attestations of a release of img.
func (p *Pipeline) papers(img Image, pushed release.Image, predicate provenance.Predicate) ([]paper, error) {
	content, err := json.MarshalIndent(predicate, "", "  ")
	if err != nil {
		return nil, err
	}
	file := p.rehearsal("provenance", img.Name()+".json")
	if err := writeFile(file, content); err != nil {
		return nil, err
	}
	papers := []paper{{pushed.Digest, cosign.Provenance, file}}
	papers = append(papers, p.gatePapers(pushed)...)
	for _, platform := range pushed.Platforms {
		spdx, cyclonedx := p.sbomFiles(platform.Digest)
		for _, subject := range []release.Digest{platform.Digest, pushed.Digest} {
			papers = append(papers, paper{subject, cosign.SPDX, spdx}, paper{subject, cosign.CycloneDX, cyclonedx})
		}
		papers = append(papers, paper{platform.Digest, cosign.Provenance, file})
	}
	for _, paper := range papers {
		if _, err := os.Stat(paper.file); err != nil {
			return nil, fmt.Errorf("%s for %s: %w", paper.kind, paper.subject, err)
		}
	}
	return papers, nil
}

// paperTags is the set of the repository's tags, to tell what an earlier run
// left without asking cosign about each paper.
func (p *Pipeline) paperTags(ctx context.Context, img Image) (map[string]bool, error) {
	tags, err := p.Registry.Tags(ctx, img.Repository)
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", img.Repository, err)
	}
	there := make(map[string]bool, len(tags))
	for _, tag := range tags {
		there[tag] = true
	}
	return there, nil
}

// attachmentTag is where cosign keeps the signatures (".sig") or attestations
// (".att") of a digest
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery).
func attachmentTag(d release.Digest, suffix string) string {
	return strings.Replace(string(d), ":", "-", 1) + suffix
}

func (p *Pipeline) sign(ctx context.Context, client *cosign.Client, img Image, pushed release.Image, there map[string]bool) error {
	signed := true
	for _, subject := range subjects(pushed) {
		if !there[attachmentTag(subject, ".sig")] || client.Verify(ctx, img.At(subject)) != nil {
			signed = false
			break
		}
	}
	if signed {
		p.say("seal: %s was signed by an earlier run", img.At(pushed.Digest))
		return nil
	}
	if err := client.SignIndex(ctx, img.At(pushed.Digest)); err != nil {
		return err
	}
	p.say("seal: signed %s and its %d platforms", img.At(pushed.Digest), len(pushed.Platforms))
	return nil
}

func subjects(img release.Image) []release.Digest {
	all := []release.Digest{img.Digest}
	for _, platform := range img.Platforms {
		all = append(all, platform.Digest)
	}
	return all
}

func (p *Pipeline) attest(ctx context.Context, client *cosign.Client, img Image, papers []paper, there map[string]bool) error {
	for _, paper := range papers {
		if there[attachmentTag(paper.subject, ".att")] {
			done, err := p.attested(ctx, client, img, paper)
			if err != nil {
				return err
			}
			if done {
				p.say("seal: %s of %s was attested by an earlier run", paper.kind, paper.subject)
				continue
			}
		}
		if err := client.Attest(ctx, img.At(paper.subject), paper.kind, paper.file); err != nil {
			return err
		}
	}
	p.say("seal: attested %s: %d papers", img.At(img.Digest), len(papers))
	return nil
}

// attested reports whether a verified attestation of the paper's type says
// the same. A failure of cosign means that there is none which verifies.
func (p *Pipeline) attested(ctx context.Context, client *cosign.Client, img Image, paper paper) (bool, error) {
	attached, err := client.Attestations(ctx, img.At(paper.subject), paper.kind)
	if err != nil {
		if cosign.Passing(err) || ctx.Err() != nil {
			return false, err
		}
		return false, nil
	}
	content, err := os.ReadFile(paper.file)
	if err != nil {
		return false, err
	}
	for _, other := range attached {
		same, err := samePredicate(paper.kind, content, other)
		if err != nil {
			return false, fmt.Errorf("compare %s of %s: %w", paper.kind, paper.subject, err)
		}
		if same {
			return true, nil
		}
	}
	return false, nil
}

// samePredicate compares documents by value; of provenance, the build and not
// when it ran, and of a receipt, the decision and not when it was made.
func samePredicate(kind string, ours, theirs []byte) (bool, error) {
	if kind == cosign.Summary {
		a, errA := receipt.Read(ours)
		b, errB := receipt.Read(theirs)
		return errA == nil && errB == nil && a.SameDecision(b), errA // somebody else's form is another paper
	}
	if kind == cosign.Provenance {
		var a, b provenance.Predicate
		if err := errors.Join(json.Unmarshal(ours, &a), json.Unmarshal(theirs, &b)); err != nil {
			return false, err
		}
		return a.SameBuild(b), nil
	}
	a, errA := canonical(ours)
	b, errB := canonical(theirs)
	return string(a) == string(b), errors.Join(errA, errB)
}

func canonical(document []byte) ([]byte, error) {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func (p *Pipeline) provenance(ctx context.Context, s Sealed, tag string, pushed release.Image, finished time.Time) (provenance.Predicate, error) {
	started, err := p.started(s.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return provenance.Predicate{}, fmt.Errorf("%w; `tallyman release clock` notes it", err)
	}
	if err != nil {
		return provenance.Predicate{}, err
	}
	baseName, baseDigest, err := p.base(s.Image)
	if err != nil {
		return provenance.Predicate{}, err
	}
	builderID, invocation := p.builder()
	build := provenance.Build{
		Source: s.Source, Tag: tag, Commit: s.Commit, Image: s.Image.Name(),
		BaseName: baseName, BaseDigest: baseDigest,
		BuilderID: builderID, Invocation: invocation, Versions: p.versions(ctx),
		Started: started, Finished: finished,
	}
	for _, platform := range pushed.Platforms {
		build.Platforms = append(build.Platforms, platform.String())
	}
	return build.Predicate()
}

// SignFile signs a file into a Sigstore bundle. A snapshot that has nothing to
// sign with goes on unsigned, and says so.
func (p *Pipeline) SignFile(ctx context.Context, file, bundle string, snapshot bool) error {
	if err := p.Identity.CheckSigning(p.Getenv); err != nil {
		if snapshot {
			p.say("sign: %s stays unsigned, as this is a snapshot: %v", file, err)
			return nil
		}
		return err
	}
	client, err := p.signer(ctx)
	if err != nil {
		return err
	}
	return client.SignBlob(ctx, file, bundle)
}
