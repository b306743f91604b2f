package console

import (
	"net/url"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Every address of the console is made here, so that a page and the links to it cannot
// come apart. Repositories hold slashes; "-" ends them in a path, because no part of a
// repository is a lone hyphen (OCI distribution specification, "Pulling manifests").

const (
	componentsPath = "/components/"
	separator      = "-"
)

// pathOf escapes each part of a path, so that what is in it stays in it.
func pathOf(parts ...string) string {
	escaped := make([]string, 0, len(parts))
	for _, part := range parts {
		escaped = append(escaped, escapePart(part))
	}
	return strings.Join(escaped, "/")
}

// escapePart escapes a part, and dots alone too, which a client would take for a step
// in the tree. An empty part has no form of its own.
func escapePart(part string) string {
	switch part {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	default:
		return url.PathEscape(part)
	}
}

// withQuery puts parameters behind an address: pairs of name and value, of which those
// with an empty value are left out.
func withQuery(address string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return address
	}
	return address + "?" + q.Encode()
}

func componentURL(repository string) string {
	return componentsPath + pathOf(strings.Split(repository, "/")...)
}

// releaseURL is the address of a release, by its version or the digest of its image,
// and of one of its lists.
func releaseURL(repository, name string, list ...string) string {
	return componentURL(repository) + "/" + pathOf(append([]string{separator, name}, list...)...)
}

// standingURL is the address of a release by its version, and of an image without one
// by its digest.
func standingURL(s *account.Standing, list ...string) string {
	return releaseURL(s.Image.Repository, refName(s), list...)
}

// refName is what a release is asked for by.
func refName(s *account.Standing) string {
	if s.Version != "" {
		return s.Version
	}
	return string(s.Image.Digest)
}

func documentURL(d release.Digest) string { return "/documents/" + escapePart(string(d)) }

// ReleasePage is the address of the page of a release.
func ReleasePage(ref account.Ref) string { return releaseURL(ref.Repository, ref.Name) }

// AdvisoryPage is the address of the page of an advisory.
func AdvisoryPage(id string) string { return advisoryURL(id) }

func searchURL(term string) string { return withQuery("/search", "q", term) }

func compareURL(repository, from, to string) string {
	return withQuery("/compare", "repository", repository, "from", from, "to", to)
}

func advisoryURL(id string) string { return "/advisories/" + escapePart(id) }

func waveURL(id string) string { return "/activity/waves/" + escapePart(id) }

// target is what a path below /components/ names.
type target struct {
	Repository string
	// Name is the version or digest of a release, empty for the component itself.
	Name string
	// List is "findings", "packages" or empty.
	List string
}

// parseTarget reads what is behind /components/, and reports whether it names anything
// that may be there.
func parseTarget(path string) (target, bool) {
	repository, rest, found := strings.Cut(path, "/"+separator+"/")
	t := target{Repository: repository}
	if repository == "" || strings.HasPrefix(repository, "/") || strings.HasSuffix(repository, "/") {
		return target{}, false
	}
	if !found {
		return t, true
	}
	t.Name, t.List, found = strings.Cut(rest, "/")
	known := t.List == "findings" || t.List == "packages"
	return t, t.Name != "" && (!found || known)
}
