package console

import (
	"path"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// verifyGuide is how somebody verifies a release without trusting this page.
type verifyGuide struct {
	// Who is the signer that the commands ask for, empty where no signature is verified.
	Who string
	// Key is the name of the key's file, empty for an identity.
	Key string
	// Missing says why the commands cannot name a signer.
	Missing  string
	Snippets []snippet
}

// signer is who signed, in the options of the commands.
type signer struct {
	cosign, tallyman string
	key              string
}

// newSigner reads what release.Signer.String wrote: "key NAME", or an identity with its
// issuer. logged says whether the signature is in a transparency log.
func newSigner(text string, logged bool) (signer, bool) {
	if key, ok := strings.CutPrefix(text, "key "); ok {
		// Whoever pastes it has the file where they paste, and not where the worker has it.
		if !strings.Contains(key, "://") {
			key = path.Base(key)
		}
		s := signer{cosign: "--key " + shell(key), tallyman: "--key " + shell(key), key: key}
		if !logged {
			s.cosign += " --insecure-ignore-tlog=true"
		}
		return s, true
	}
	at := strings.LastIndex(text, " (issuer ")
	if at <= 0 || !strings.HasSuffix(text, ")") {
		return signer{}, false
	}
	identity, issuer := text[:at], strings.TrimSuffix(text[at+len(" (issuer "):], ")")
	return signer{
		cosign:   "--certificate-identity " + shell(identity) + " \\\n  --certificate-oidc-issuer " + shell(issuer),
		tallyman: "--identity " + shell(identity) + " \\\n  --issuer " + shell(issuer) + " --trusted-root trusted_root.json",
	}, true
}

// root is the command that gets the trusted root, which the commands of tallyman ask for
// where an identity signed; they contact nobody for it.
func (s signer) root(id string) []snippet {
	if s.key != "" {
		return nil
	}
	return []snippet{{
		ID: id, Label: "The trusted root",
		Note: "trusted_root.json says whose certificates and logs count, and is read by the commands below. cosign 3 gets that of the public Sigstore; a private one hands out its own.",
		Text: "cosign trusted-root create --with-default-services --out trusted_root.json",
	}}
}

func newVerifyGuide(r *account.Release) verifyGuide {
	image := r.Image.Repository + "@" + string(r.Image.Digest)
	g := verifyGuide{}
	if r.Version != "" {
		g.Snippets = append(g.Snippets, snippet{
			ID: "verify-digest", Label: "The version names this digest",
			Note: "Has to print " + string(r.Image.Digest) + ".",
			Text: "crane digest " + shell(r.Image.Repository+":"+r.Version),
		})
	}
	signature := verifiedPaper(r, release.PaperSignature)
	if signature == nil {
		g.Missing = why(r, release.PaperSignature)
		return g
	}
	who, ok := newSigner(signature.Signer, signature.LogIndex >= 0)
	if !ok {
		g.Missing = "who signed it is not recorded"
		return g
	}
	g.Who, g.Key = signature.Signer, who.key
	g.Snippets = append(g.Snippets,
		snippet{
			ID: "verify-signature", Label: "The signature", Note: "cosign says who signed, and ends with 0.",
			Text: "cosign verify " + who.cosign + " \\\n  " + shell(image),
		})
	if attested := attestations(r, image, signature.Signer); attested != "" {
		g.Snippets = append(g.Snippets, snippet{
			ID: "verify-attestations", Label: "The attestations", Note: "Each prints an envelope; its payload is the document.", Text: attested,
		})
	}
	g.Snippets = append(g.Snippets, who.root("verify-root")...)
	g.Snippets = append(g.Snippets, snippet{
		ID: "verify-tallyman", Label: "Everything at once", Note: "0: verified. 1: a paper is invalid or absent. 3: could not tell.",
		Text: "tallyman verify " + shell(image) + " \\\n  " + who.tallyman + " \\\n  --require " + strings.Join(required(r), ","),
	})
	for _, d := range sbomSubjects(r) {
		if s, ok := sbomSnippet(r, d, image, who); ok {
			g.Snippets = append(g.Snippets, s)
		}
	}
	return g
}

// verifiedPaper is the best verified paper of a kind, that on the index first.
func verifiedPaper(r *account.Release, kind release.PaperKind) *ledger.Paper {
	var found *ledger.Paper
	for i := range r.Pieces {
		e := &r.Pieces[i]
		if e.Kind != kind {
			continue
		}
		for j := range e.Papers {
			if p := &e.Papers[j]; p.State == release.StateVerified && (found == nil || e.Subject == r.Image.Digest) {
				found = p
				break
			}
		}
	}
	return found
}

// required are the kinds that are verified now, as tallyman verify calls them.
func required(r *account.Release) []string {
	var kinds []string
	for _, k := range []struct {
		kind release.PaperKind
		name string
	}{
		{release.PaperSignature, "signature"},
		{release.PaperSBOM, "sbom"},
		{release.PaperProvenance, "provenance"},
		{release.PaperVEX, "vex"},
		{release.PaperSummary, "summary"},
	} {
		if r.Evidence[k.kind] == release.StateVerified {
			kinds = append(kinds, k.name)
		}
	}
	if len(kinds) == 0 {
		return []string{"signature"}
	}
	return kinds
}

// attestations are the commands for the attestations of one signer: those on the index,
// or else those of the first platform that has them.
func attestations(r *account.Release, image, signer string) string {
	var commands []string
	seen := map[string]bool{}
	for _, onIndex := range []bool{true, false} {
		for i := range r.Pieces {
			e := &r.Pieces[i]
			if (e.Subject == r.Image.Digest) != onIndex {
				continue
			}
			for _, p := range e.Papers {
				kind := attestationType(p.PredicateType)
				if p.State != release.StateVerified || p.Signer != signer || kind == "" || seen[kind] {
					continue
				}
				seen[kind] = true
				who, ok := newSigner(p.Signer, p.LogIndex >= 0)
				if !ok {
					continue
				}
				subject := image
				if !onIndex {
					subject = r.Image.Repository + "@" + string(e.Subject)
				}
				commands = append(commands, "cosign verify-attestation "+who.cosign+" \\\n  --type "+shell(kind)+" "+shell(subject))
			}
		}
	}
	return strings.Join(commands, "\n")
}

// attestationType is what cosign calls a type of predicate; a type that it has no name
// for is named by itself.
func attestationType(predicate string) string {
	switch {
	case predicate == "https://spdx.dev/Document":
		return "spdx"
	case predicate == "https://cyclonedx.org/bom":
		return "cyclonedx"
	case predicate == "https://slsa.dev/provenance/v1":
		return "slsaprovenance1"
	case strings.HasPrefix(predicate, "https://openvex.dev/ns"):
		return "openvex"
	default:
		return predicate
	}
}

// sbomSnippet gets an SBOM out of the registry and says what its hash has to be: that of
// the bytes that this page serves.
func sbomSnippet(r *account.Release, d account.Document, image string, who signer) (snippet, bool) {
	if !d.Verified || d.Uploaded != "" || d.Subject == r.Image.Digest && !alone(r, &d) {
		return snippet{}, false
	}
	command := "tallyman sbom " + shell(image) + " \\\n  " + who.tallyman
	for _, p := range r.Image.Platforms {
		if p.Digest == d.Subject && d.Subject != r.Image.Digest {
			command += " \\\n  --platform " + shell(p.String())
		}
	}
	switch d.Format {
	case "SPDX":
		command += " --format spdx"
	case "CycloneDX":
		command += " --format cyclonedx"
	}
	return snippet{
		ID: "verify-sbom-" + short(string(d.Digest)), Label: "The SBOM of " + d.On,
		Note: "Has to print " + strings.TrimPrefix(string(d.Digest), "sha256:") + ", the hash of what is served here.",
		Text: command + " | sha256sum",
	}, true
}

// alone tells whether an SBOM on the index can be asked for: it is the only one there of
// its format, and lies on no platform, where it is asked for already.
func alone(r *account.Release, d *account.Document) bool {
	for i := range r.Documents {
		other := &r.Documents[i]
		if other.Kind != release.PaperSBOM || other.Subject == d.Subject && other.Digest == d.Digest {
			continue
		}
		if other.Digest == d.Digest || other.Subject == d.Subject && other.Format == d.Format {
			return false
		}
	}
	return true
}

// reproduceSnippets are the commands that build the image of a release again.
func reproduceSnippets(r *account.Release) []snippet {
	if r.Build == nil {
		return nil
	}
	source, tag := sourceOf(r.Build.Source)
	if source == "" || r.Build.Commit == "" {
		return nil
	}
	checkout := tag
	if checkout == "" {
		checkout = r.Build.Commit
	}
	// One command after the other only while all goes well: the rest is not meant for
	// where it is pasted.
	const and = " && \\\n  "
	clone := "git clone " + shell(source) + " source && cd source" + and + "git checkout " + shell(checkout) + and +
		"test \"$(git rev-parse HEAD)\" = " + shell(r.Build.Commit)
	if ownService(r.Image.Repository) == "" {
		return []snippet{{
			ID: "reproduce-tag", Label: "From the source that the provenance names",
			Note: "How it is built from there, the project says. The image has to be " + string(r.Image.Digest) + ".",
			Text: clone,
		}}
	}
	own := reproduceByCommand(r, tag)
	return append(own,
		snippet{
			ID: "reproduce-tag", Label: "By hand: bit for bit, with the tools pinned at the tag",
			Note: "Ends with 0 when the digest is the one of this release. Publishes nothing.",
			Text: clone + and + "make snapshot" + and + "grep " + shell(string(r.Image.Digest)) + " rehearsal/digests.txt",
		},
		snippet{
			ID: "reproduce-source", Label: "The same, compiled in the pinned golang image",
			Note: "Same toolchain, same flags, same digest.",
			Text: clone + and + "TALLYMAN_BINARY_FROM=source make snapshot" + and + "grep " + shell(string(r.Image.Digest)) + " rehearsal/digests.txt",
		})
}

// reproduceByCommand are the commands that verify the provenance, build the commit that it
// names, and compare; none where nobody can be named whose provenance counts.
func reproduceByCommand(r *account.Release, tag string) []snippet {
	paper := verifiedPaper(r, release.PaperProvenance)
	if paper == nil {
		return nil
	}
	who, ok := newSigner(paper.Signer, paper.LogIndex >= 0)
	if !ok {
		return nil
	}
	all := append(who.root("reproduce-root"), snippet{
		ID: "reproduce-image", Label: "With tallyman, from anywhere",
		Note: "Clones the commit that the provenance names, builds it, and compares layer by layer. 0: identical. 1: different, and in what. 3: could not tell.",
		Text: "tallyman reproduce " + shell(r.Image.Repository+"@"+string(r.Image.Digest)) + " \\\n  " + who.tallyman,
	})
	if tag != "" {
		registry, _ := cutRepository(r.Image.Repository)
		all = append(all, snippet{
			ID: "reproduce-release", Label: "With tallyman, in a clone: all images of the release",
			Note: "From the clone's own source, whose commit has to be the one of the provenance.",
			Text: "TALLYMAN_REGISTRY=" + shell(strings.TrimSuffix(registry, "/")) + " tallyman reproduce " + shell(tag) + " \\\n  " + who.tallyman,
		})
	}
	return all
}

// sourceOf reads an SPDX download location: git+<URL>@refs/tags/<tag>. Only https is
// something to clone by a command that people paste.
func sourceOf(location string) (address, tag string) {
	address, ref, _ := strings.Cut(strings.TrimPrefix(location, "git+"), "@")
	tag, ok := strings.CutPrefix(ref, "refs/tags/")
	if !ok {
		tag = ""
	}
	if safeLink(address) == "" || strings.HasPrefix(tag, "-") {
		return "", ""
	}
	return address, tag
}
