package advisory

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
)

// Subject is a package in the words of OSV: what a purl asks the advisories about.
type Subject struct {
	// Family is the ecosystem without a release, such as Go or Debian. It decides
	// how versions compare.
	Family string
	// Ecosystem is the one of the distribution's release, such as Debian:12. For
	// Red Hat and SUSE, which split a release into products, it is empty and In
	// tells which belong.
	Ecosystem string
	// In reports whether an ecosystem of the family is meant. Nil where Ecosystem
	// says it.
	In func(ecosystem string) bool
	// products names what In stands for.
	products string
	// Name is the one that advisories use: the source package of Debian and Alpine.
	Name    string
	Version string
	// Doubt says why findings of this version may be wrong. Empty when nothing
	// speaks against them.
	Doubt string
}

// Errors of [Identify].
var (
	// ErrNotCovered: OSV has no ecosystem for such a purl.
	ErrNotCovered = errors.New("no advisory ecosystem covers it")
	// ErrCarrier: the purl names an image, which carries packages and is none.
	ErrCarrier = errors.New("an image, not a package")
	// ErrNoRelease: the purl does not say which release of a distribution it is from.
	ErrNoRelease = errors.New("its distribution release is not given (distro qualifier)")
)

// Release names the ecosystem with its release: subjects of equal ones are named by
// the same advisories.
func (s Subject) Release() string {
	if s.In != nil {
		return s.products
	}
	return s.Ecosystem
}

// IdentifyPURL is [Identify] for a purl that is not taken apart. It returns why no
// advisory can speak of it, or that it is a carrier, of which none has to.
func IdentifyPURL(purl string) (s Subject, carrier bool, gap string) {
	p, err := ParsePURL(purl)
	if err == nil {
		s, err = Identify(p)
	}
	switch {
	case errors.Is(err, ErrCarrier):
		return Subject{}, true, ""
	case err != nil:
		return Subject{}, false, err.Error()
	default:
		return s, false, ""
	}
}

// Identify maps a purl to the package that advisories speak of. A subject without
// a version is no error; nothing can be compared with it.
func Identify(p PURL) (Subject, error) {
	if strings.ContainsRune(p.path(), 0) {
		return Subject{}, errors.New("a NUL in its name")
	}
	switch p.Type {
	case "golang":
		return goSubject(p), nil
	case "npm":
		return plain(p, "npm", p.path()), nil
	case "pypi":
		return plain(p, "PyPI", normalisePyPI(p.Name)), nil
	case "cargo":
		return plain(p, "crates.io", p.Name), nil
	case "maven":
		return plain(p, "Maven", strings.ReplaceAll(p.Namespace, "/", ".")+":"+p.Name), nil
	case "gem":
		return plain(p, "RubyGems", p.Name), nil
	case "nuget":
		return plain(p, "NuGet", p.Name), nil
	case "composer":
		return composerSubject(p), nil
	case "hex", "pub", "hackage", "cran", "julia", "swift", "bitnami", "conan":
		return otherSubject(p), nil
	case "deb", "apk", "alpine", "rpm":
		return distributionSubject(p)
	case "oci", "docker":
		return Subject{}, ErrCarrier
	default:
		return Subject{}, fmt.Errorf("type %s: %w", p.Type, ErrNotCovered)
	}
}

func plain(p PURL, ecosystem, name string) Subject {
	return Subject{Family: ecosystem, Ecosystem: ecosystem, Name: foldName(ecosystem, name), Version: p.Version}
}

// otherSubject maps the ecosystems whose names are written alike on both sides.
func otherSubject(p PURL) Subject {
	ecosystem := map[string]string{
		"hex": "Hex", "pub": "Pub", "hackage": "Hackage", "cran": "CRAN", "julia": "Julia",
		"swift": "SwiftURL", "bitnami": "Bitnami", "conan": "ConanCenter",
	}[p.Type]
	name := p.Name
	if p.Type == "swift" || p.Type == "hex" {
		name = p.path()
	}
	return plain(p, ecosystem, name)
}

var runsOfSeparators = regexp.MustCompile(`[-_.]+`)

// normalisePyPI is the normalised name of PEP 503.
func normalisePyPI(name string) string {
	return strings.ToLower(runsOfSeparators.ReplaceAllString(name, "-"))
}

// foldName makes names comparable where an ecosystem ignores the case or form of
// names. It is applied to the names of records and of purls.
func foldName(family, name string) string {
	switch family {
	case "PyPI":
		return normalisePyPI(name)
	case "NuGet", "Packagist":
		return strings.ToLower(name)
	case "SwiftURL":
		name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
		return strings.TrimSuffix(name, ".git")
	default:
		return name
	}
}

const (
	packagist = "Packagist"
	// drupal is where Drupal's modules are published; Packagist itself has none of
	// the vendor's but its core, and SBOMs do not tell which repository was used.
	drupal = "Packagist:https://packages.drupal.org/8"
)

func composerSubject(p PURL) Subject {
	s := plain(p, packagist, p.path())
	repository := strings.TrimSuffix(p.Qualifiers["repository_url"], "/")
	switch {
	case strings.HasPrefix(s.Name, "drupal/"):
		s.Ecosystem, s.products = "", drupal
		s.In = func(e string) bool { return e == packagist || e == drupal }
	case repository != "" && !strings.Contains(repository, "packagist.org"):
		s.Ecosystem = packagist + ":" + repository
	}
	return s
}

// goSubject maps a Go module. OSV has its version without v, and the standard
// library and the toolchain as modules.
func goSubject(p PURL) Subject {
	s := plain(p, "Go", p.path())
	if s.Name == "std" {
		s.Name = "stdlib" // as cyclonedx-gomod calls it
	}
	if s.Name == "stdlib" || s.Name == "toolchain" {
		s.Version = goRelease(p.Version)
		return s
	}
	switch {
	case p.Version == "(devel)":
		s.Doubt = "(devel) is a main module built without a version; it counts as older than every release"
	case strings.EqualFold(p.Version, "UNKNOWN"):
		s.Doubt = "the version is given as UNKNOWN, which counts as older than every release"
	case module.IsPseudoVersion(p.Version) && strings.HasPrefix(p.Version, "v0.0.0-"):
		s.Doubt = "a pseudo-version without a tag before it counts as older than every release; if it is the main module, its real version is not known"
	}
	s.Version = strings.TrimPrefix(p.Version, "v")
	return s
}

var goPrerelease = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?(rc|beta)(\d+)$`)

// goRelease turns a release of Go, such as go1.22rc1, into the semantic version
// that the Go vulnerability database uses, such as 1.22.0-rc.1.
func goRelease(version string) string {
	version = strings.TrimPrefix(strings.TrimPrefix(version, "go"), "v")
	version, _, _ = strings.Cut(version, " ") // what follows are experiments and vendors' marks
	if m := goPrerelease.FindStringSubmatch(version); m != nil {
		patch := m[3]
		if patch == "" {
			patch = "0"
		}
		return m[1] + "." + m[2] + "." + patch + "-" + m[4] + "." + m[5]
	}
	return version
}
