package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// BuilderID identifies a rebuild by somebody whom no service vouches for (SLSA v1.0,
// "builder.id"): the signature says who.
const BuilderID = "https://github.com/tallyman-io/tallyman/blob/main/docs/reproduce.md#attest"

// Rebuilt is an image that came out as it was published.
type Rebuilt struct {
	Claim      Claim
	Repository string
	Digest     release.Digest
	// Platforms, BaseName and BaseDigest are what the rebuilt image says.
	Platforms            []string
	BaseName, BaseDigest string
	Started, Finished    time.Time
}

// Attester signs that an image was rebuilt.
type Attester struct {
	// Tools has the pinned cosign.
	Tools    tool.Box
	Identity cosign.Identity
	// BuilderID names who rebuilt, a URI; [BuilderID] when empty.
	BuilderID string
	// Dir is a folder for the predicate and the public key.
	Dir string
}

// Attest attaches SLSA provenance about the digest, made by this build and signed by
// the rebuilder, and verifies what it attached. One that the same signer attached
// before, of the same source, is kept. It returns who signed.
func (a *Attester) Attest(ctx context.Context, r Rebuilt) (signer string, err error) {
	ref := r.Repository + "@" + string(r.Digest)
	predicate, err := a.predicate(ctx, r)
	if err != nil {
		return "", fmt.Errorf("attest %s: %w", ref, err)
	}
	client, err := cosign.New(ctx, a.Tools, a.Identity, a.Dir)
	if err != nil {
		return "", fmt.Errorf("attest %s: %w", ref, err)
	}
	signer = a.Identity.Subject
	if client.Keyed() {
		signer = "the key " + filepath.Base(a.Identity.Key)
	}
	switch done, err := attested(ctx, client, ref, predicate); {
	case err != nil:
		return "", err
	case done:
		return signer, nil
	}
	content, err := json.MarshalIndent(predicate, "", "  ")
	if err != nil {
		return "", fmt.Errorf("attest %s: %w", ref, err)
	}
	file := filepath.Join(a.Dir, r.Claim.Image+".provenance.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", fmt.Errorf("attest %s: %w", ref, err)
	}
	if err := client.Attest(ctx, ref, cosign.Provenance, file); err != nil {
		return "", err
	}
	done, err := attested(ctx, client, ref, predicate)
	if err == nil && !done {
		err = fmt.Errorf("attest %s: expected what was attached to verify, found none", ref)
	}
	return signer, err
}

// attested reports whether provenance of the same build by this signer verifies. That
// there is none is no error; that the registry did not answer is one.
func attested(ctx context.Context, client *cosign.Client, ref string, predicate provenance.Predicate) (bool, error) {
	attached, err := client.Attestations(ctx, ref, cosign.Provenance)
	if err != nil {
		if cosign.Passing(err) || ctx.Err() != nil {
			return false, err
		}
		return false, nil //nolint:nilerr // cosign does not tell "absent" from "invalid"
	}
	for _, document := range attached {
		var other provenance.Predicate
		if json.Unmarshal(document, &other) == nil && other.SameBuild(predicate) {
			return true, nil
		}
	}
	return false, nil
}

var errBase = errors.New("the rebuilt image does not name its base image")

func (a *Attester) predicate(ctx context.Context, r Rebuilt) (provenance.Predicate, error) {
	if r.BaseName == "" {
		return provenance.Predicate{}, errBase
	}
	builder := a.BuilderID
	if builder == "" {
		builder = BuilderID
	}
	return provenance.Build{
		Source: r.Claim.Source, Tag: r.Claim.Tag, Commit: r.Claim.Commit, Image: r.Claim.Image, Platforms: r.Platforms,
		BaseName: r.BaseName, BaseDigest: r.BaseDigest, BuilderID: builder, Versions: versions(ctx, a.Tools),
		Started: r.Started, Finished: r.Finished,
	}.Predicate()
}

// versions names the tools that shaped the image, as their own commands tell. One that
// does not is "unknown".
func versions(ctx context.Context, tools tool.Box) map[string]string {
	all := make(map[string]string)
	for _, v := range []struct {
		name    string
		args    []string
		pattern string
	}{
		{"goreleaser", []string{"--version"}, `GitVersion:\s*(\S+)`},
		{"buildx", []string{"version"}, `buildx (\S+)`},
		{"cosign", []string{"version"}, `GitVersion:\s*(\S+)`},
	} {
		all[v.name] = "unknown"
		out, err := tools.Run(ctx, v.name, v.args...)
		if err != nil {
			continue
		}
		if match := regexp.MustCompile(v.pattern).FindSubmatch(out); match != nil {
			all[v.name] = string(match[1])
		}
	}
	return all
}
