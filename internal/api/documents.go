package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

type choosingSBOM struct {
	ofRelease

	Platform string `query:"platform" maxLength:"100" example:"linux/amd64" doc:"os/architecture, with the variant behind it, or index."`
	Format   string `query:"format" enum:"spdx,cyclonedx" doc:"The format."`
}

func (a *API) sbom(ctx context.Context, in *choosingSBOM) (*answer, error) {
	return a.choose(ctx, &in.ofRelease, release.PaperSBOM, func(d *account.Document) bool {
		return (in.Platform == "" || d.On == in.Platform) && (in.Format == "" || strings.EqualFold(d.Format, in.Format))
	})
}

type choosingVEX struct {
	ofRelease

	Platform string `query:"platform" maxLength:"100" doc:"os/architecture, with the variant behind it, or index."`
	Document string `query:"document" pattern:"^sha256:[0-9a-f]{64}$" doc:"The digest of the document."`
}

func (a *API) vex(ctx context.Context, in *choosingVEX) (*answer, error) {
	return a.choose(ctx, &in.ofRelease, release.PaperVEX, in.wants)
}

func (in *choosingVEX) wants(d *account.Document) bool {
	return (in.Platform == "" || d.On == in.Platform) && (in.Document == "" || string(d.Digest) == in.Document)
}

// choose serves the one document of a kind that is wanted. Where none is, or several are,
// a problem lists those that there are.
func (a *API) choose(ctx context.Context, in *ofRelease, kind release.PaperKind, wanted func(*account.Document) bool) (*answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	var found *account.Document
	distinct := make(map[release.Digest]bool)
	choices := []choice{}
	for i := range r.Documents {
		d := &r.Documents[i]
		if d.Kind != kind {
			continue
		}
		choices = append(choices, choiceOf(d))
		if wanted(d) {
			found = d
			distinct[d.Digest] = true
		}
	}
	if len(distinct) == 1 {
		return a.serve(ctx, found, wire.ID(in.ref()))
	}
	name := wire.ID(in.ref())
	p := notFound(string(kind)+" document", "query", name)
	switch {
	case len(choices) == 0 && r.Key == 0:
		p.Detail = name + ": " + notExamined
	case len(choices) == 0:
		p.Detail = name + ": no document of the kind " + string(kind) + " counts for it"
	case len(distinct) == 0:
		p.Detail = name + ": expected one of the documents that there are, found none that is as asked"
	default:
		p = newProblem(http.StatusConflict, kindChoice, "There are several", name+": expected parameters that choose one document, found several that are as asked")
	}
	p.Choices = choices
	return nil, p
}

func digestOf(content []byte) release.Digest {
	sum := sha256.Sum256(content)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// serve sends the bytes of a document.
func (a *API) serve(ctx context.Context, d *account.Document, name string) (*answer, error) {
	_, content, err := a.cfg.Store.Document(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	return &answer{raw: content, media: wire.MediaType(d), etag: string(d.Digest), filename: filename(name, d)}, nil
}

// filename is what a document is saved as: web-v1.4.0-linux-amd64.spdx.json.
func filename(id string, d *account.Document) string {
	ending := map[string]string{
		"application/spdx+json": ".spdx.json", "application/vnd.cyclonedx+json": ".cdx.json", "application/vnd.openvex+json": ".openvex.json",
		"application/json": ".json",
	}[wire.MediaType(d)]
	name := path.Base(id)
	if d.On != "" {
		name += "-" + d.On
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		default:
			return '-'
		}
	}, name) + ending
}

// receipt serves what a verified attestation says of the gate.
func (a *API) receipt(ctx context.Context, in *choosingVEX) (*answer, error) {
	return a.choose(ctx, &in.ofRelease, release.PaperSummary, func(d *account.Document) bool { return d.Verified && in.wants(d) })
}

type documentsOfRelease struct {
	ofRelease
	page
}

func (a *API) documents(ctx context.Context, in *documentsOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	l, err := part(&in.page, "documents", r.Documents, documentKey, wire.DocumentOf)
	if err != nil {
		return nil, err
	}
	if r.Key == 0 {
		l.Unknown(notExamined)
	}
	return listed(l), nil
}

// documentKey has the order of documents.
func documentKey(d *account.Document) string {
	return strings.Join([]string{string(d.Kind), string(d.Subject), d.Format, string(d.Digest), d.Signer, d.Uploaded}, " ")
}

func (a *API) documentBytes(ctx context.Context, in *ofDigest) (*answer, error) {
	d, content, err := a.cfg.Store.Document(ctx, release.Digest(in.Digest))
	if errors.Is(err, account.ErrNotFound) {
		return nil, notFound("document", "path.digest", in.Digest)
	}
	if err != nil {
		return nil, err
	}
	return &answer{
		raw: content, media: wire.MediaType(&d), etag: in.Digest,
		filename: filename(release.Digest(in.Digest).Short(), &account.Document{Kind: d.Kind, Format: d.Format}),
	}, nil
}

type handingIn struct {
	ofRelease
	sent

	Platform string `query:"platform" maxLength:"100" example:"linux/amd64" doc:"The platform that it is about; index for the image as a whole. May be left out where there is one platform."`
}

func (a *API) upload(ctx context.Context, in *handingIn) (*answer, error) {
	read, err := sbom.Read(bytes.NewReader(in.content), func(release.Package) error { return nil })
	if err != nil {
		m := mistake{"body", "SPDX 2.x or CycloneDX 1.x as JSON", err.Error()}
		return nil, newProblem(http.StatusUnprocessableEntity, kindDocument, "Not an SBOM", m.Where+": expected "+m.Expected+", found "+short(m.Found), m)
	}
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	subject, p := manifest(&r.Image, in.Platform)
	if p != nil {
		return nil, p
	}
	if p := attested(&r, subject); p != nil {
		return nil, p
	}
	by := caller(ctx)
	if err := a.cfg.Store.HandIn(ctx, account.Upload{
		Repository: r.Image.Repository, Digest: r.Image.Digest, Subject: subject, Content: in.content, By: by,
	}); err != nil {
		return nil, orNotWatched(err, r.Image.Repository)
	}
	digest, watch := digestOf(in.content), wire.ReleasePath(in.ref())
	return &answer{
		body: wire.Receipt{
			Digest: string(digest), Href: wire.DocumentPath(digest), Subject: string(subject), Format: string(read.Format), Version: read.Version,
			Packages: read.Packages, Unidentified: read.Unidentified, By: by, AskedAt: a.cfg.Now().UTC(), Watch: watch, Until: "examined_at",
		},
		location: watch,
	}, nil
}

// attested refuses an SBOM for a manifest that has a verified one: the verified one
// counts, and what was handed in would be kept and never be read.
func attested(r *account.Release, subject release.Digest) *problem {
	for i := range r.Documents {
		d := &r.Documents[i]
		if d.Kind != release.PaperSBOM || d.Subject != subject || !d.Verified {
			continue
		}
		m := mistake{"path.name", "an image without a verified SBOM", "one by " + d.Signer}
		p := newProblem(http.StatusConflict, kindAttested, "There is a verified SBOM", m.Where+": expected "+m.Expected+", found "+m.Found, m)
		p.Choices = []choice{choiceOf(d)}
		return p
	}
	return nil
}

func choiceOf(d *account.Document) choice {
	return choice{d.On, strings.ToLower(d.Format), string(d.Digest), wire.MediaType(d), d.Verified, d.Signer}
}

// manifest is the manifest of a platform.
func manifest(image *release.Image, platform string) (release.Digest, *problem) {
	if platform == "index" {
		return image.Digest, nil
	}
	choices := []choice{}
	for i := range image.Platforms {
		p := &image.Platforms[i]
		if p.String() == platform || (platform == "" && len(image.Platforms) == 1) {
			return p.Digest, nil
		}
		choices = append(choices, choice{Platform: p.String(), Digest: string(p.Digest), MediaType: image.MediaType})
	}
	if platform == "" && len(image.Platforms) == 0 {
		return image.Digest, nil
	}
	m := mistake{"query.platform", "one of the platforms of the image, or index", quoted(platform)}
	p := newProblem(http.StatusConflict, kindChoice, "There are several", m.Where+": expected "+m.Expected+", found "+m.Found, m)
	if platform != "" {
		p = notFound("platform", m.Where, platform)
	}
	p.Choices = choices
	return "", p
}
