package vex

import (
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// product is what a statement is about, and where in it the vulnerability lies.
type product struct {
	component
	subcomponents []component
}

// component is a piece of software under the names that a document gives it
// (specification, "Component Fields"). CPEs are not looked at: nothing here has one.
type component struct {
	purls   []advisory.PURL
	digests []release.Digest
}

// Image is what findings are of. The zero value is none: then statements about
// packages apply, and those about images do not.
type Image struct {
	// Repository is where the image lies, such as ghcr.io/tallyman-io/tallyman/web.
	Repository string
	// Tag is empty when it is not known.
	Tag string
	// Digest is that of the index, or of the only manifest.
	Digest release.Digest
	// Platforms are those that the finding is of. A statement about one of them says
	// nothing of the others.
	Platforms []Platform
}

// Platform is the manifest of one platform.
type Platform struct {
	Digest       release.Digest
	Architecture string
}

// Finding is one vulnerability of one thing.
type Finding struct {
	// Names are all ids and aliases.
	Names []string
	// PURLs are those of the package, or of all packages that come from one source
	// package. A statement about one of them says nothing of the others.
	PURLs []string
}

// manifest is one platform's, or the whole of an image of which no platform is known.
type manifest struct {
	repository, tag, architecture string
	digests                       [2]release.Digest // the platform's, and that of the index it is in
}

func (m manifest) is(digest release.Digest) bool {
	return digest != "" && slices.Contains(m.digests[:], digest)
}

func (i Image) manifests() []manifest {
	whole := manifest{repository: i.Repository, tag: i.Tag, digests: [2]release.Digest{i.Digest}}
	if len(i.Platforms) == 0 {
		return []manifest{whole}
	}
	list := make([]manifest, len(i.Platforms))
	for j, p := range i.Platforms {
		list[j] = whole
		list[j].digests[1], list[j].architecture = p.Digest, p.Architecture
	}
	return list
}

// covers reports whether a statement about the product is about the package, nil
// when it is not known, in the image.
func (p product) covers(image manifest, pkg *advisory.PURL) bool {
	if pkg != nil && p.isPackage(*pkg) {
		return true
	}
	if !p.isImage(image) {
		return false
	}
	if len(p.subcomponents) == 0 {
		return true
	}
	return pkg != nil && slices.ContainsFunc(p.subcomponents, func(c component) bool { return c.isPackage(*pkg) })
}

// isImage compares digests first: they name the content wherever it lies.
func (c component) isImage(image manifest) bool {
	return slices.ContainsFunc(c.digests, image.is) ||
		slices.ContainsFunc(c.purls, func(p advisory.PURL) bool { return isImage(p, image) })
}

// isImage compares an OCI purl (https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md),
// or one of type docker by its digest.
func isImage(p advisory.PURL, image manifest) bool {
	if p.Type != "oci" && p.Type != "docker" {
		return false
	}
	if arch := p.Qualifiers["arch"]; arch != "" && arch != image.architecture {
		return false
	}
	if p.Version != "" {
		digest, err := release.ParseDigest(p.Version)
		return err == nil && image.is(digest)
	}
	if p.Type != "oci" || image.repository == "" {
		return false
	}
	for key, value := range p.Qualifiers {
		switch key {
		case "arch":
		case "tag":
			if value != image.tag {
				return false
			}
		case "repository_url":
			if !sameRepository(value, p.Name, image.repository) {
				return false
			}
		default:
			return false
		}
	}
	return strings.EqualFold(p.Name, image.repository[strings.LastIndexByte(image.repository, '/')+1:])
}

// sameRepository compares a repository_url, which may or may not end with the name,
// and may have a scheme.
func sameRepository(url, name, repository string) bool {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	url, repository = hub(strings.ToLower(strings.Trim(url, "/"))), hub(strings.ToLower(repository))
	return url == repository || url+"/"+strings.ToLower(name) == repository
}

// hub gives Docker Hub one name.
func hub(repository string) string {
	host, path, ok := strings.Cut(repository, "/")
	switch host {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		host = "docker.io"
	}
	if !ok {
		return host
	}
	return host + "/" + path
}

func (c component) isPackage(pkg advisory.PURL) bool {
	return slices.ContainsFunc(c.purls, func(p advisory.PURL) bool { return includes(p, pkg) })
}

// includes reports whether a purl means a package: without a version it means all
// of them, and what it has of qualifiers the package must have as well (as
// PurlMatches of github.com/openvex/go-vex has it).
func includes(general, pkg advisory.PURL) bool {
	if general.Type != pkg.Type || !sameName(pkg.Type, general.Namespace, pkg.Namespace) || !sameName(pkg.Type, general.Name, pkg.Name) {
		return false
	}
	if general.Version != "" && !sameVersion(pkg.Type, general.Version, pkg.Version) {
		return false
	}
	if general.Subpath != "" && general.Subpath != pkg.Subpath {
		return false
	}
	for key, value := range general.Qualifiers {
		if pkg.Qualifiers[key] != value {
			return false
		}
	}
	return true
}

// sameName compares as the type's definition has it: tools differ in whether they
// write the small letters that it asks for.
func sameName(kind, a, b string) bool {
	switch kind {
	case "pypi":
		return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
	case "golang", "github", "bitbucket", "composer", "apk", "deb", "rpm", "nuget", "oci":
		return strings.EqualFold(a, b)
	default:
		return a == b
	}
}

func sameVersion(kind, a, b string) bool {
	if kind == "golang" { // some tools leave out the v
		a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
	}
	return a == b
}
