package registry

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/release"
)

// maxReferrers bounds what may refer to one digest.
const maxReferrers = 1_000

// Referrers lists the manifests whose subject is the digest, as the referrers API
// tells it (distribution specification, "Listing Referrers"), through all pages.
//
// A registry without that API gives an [Error] with [release.CauseNotFound]: what
// refers to the digest is then listed under the tag [FallbackTag]. It is the
// caller who looks there, as papers may lie under both.
func (c *Client) Referrers(ctx context.Context, repository string, subject release.Digest) ([]v1.Descriptor, error) {
	op := "list referrers of " + repository + "@" + string(subject)
	repo, err := c.repository(repository)
	if err != nil {
		return nil, asFailure(op, err)
	}
	var all []v1.Descriptor
	err = c.do(ctx, op, repo.Registry, func(ctx context.Context, _ *remote.Puller) error {
		trip, err := c.session.trip(ctx, repo)
		if err != nil {
			return err
		}
		all, err = listReferrers(ctx, &http.Client{Transport: trip}, repo, subject)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func listReferrers(ctx context.Context, client *http.Client, repo name.Repository, subject release.Digest) ([]v1.Descriptor, error) {
	next := &url.URL{
		Scheme: repo.Scheme(), Host: repo.RegistryStr(),
		Path: "/v2/" + repo.RepositoryStr() + "/referrers/" + string(subject),
	}
	var all []v1.Descriptor
	for pages := 1; next != nil; pages++ {
		page, following, err := referrersPage(ctx, client, next)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(all) > maxReferrers || pages > maxPages {
			return nil, invalidf("more than %d referrers or %d pages", maxReferrers, maxPages)
		}
		next = following
	}
	return all, nil
}

// withoutAPI are the answers of registries that do not know the path.
func withoutAPI(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

func referrersPage(ctx context.Context, client *http.Client, at *url.URL) ([]v1.Descriptor, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, nil, invalidf("page %q: %w", at, err)
	}
	req.Header.Set("Accept", string(types.OCIImageIndex))
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if withoutAPI(resp.StatusCode) {
		return nil, nil, &transport.Error{StatusCode: http.StatusNotFound, Request: req}
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, nil, err
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || !types.MediaType(kind).IsIndex() {
		return nil, nil, invalidf("referrers: expected media type %s, found %q", types.OCIImageIndex, resp.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(body))
	if err != nil {
		return nil, nil, invalidf("referrers: expected an index: %w", err)
	}
	following, err := nextPage(at, resp.Header.Get("Link"))
	return index.Manifests, following, err
}

var linkNext = regexp.MustCompile(`^<([^>]*)>;\s*rel="?next"?`)

// nextPage reads the Link header (RFC 8288) of a page. It leads nowhere but to the
// registry that was asked.
func nextPage(at *url.URL, link string) (*url.URL, error) {
	if link == "" {
		return nil, nil
	}
	match := linkNext.FindStringSubmatch(link)
	if match == nil {
		return nil, invalidf("page: expected Link: <…>; rel=\"next\", found %q", link)
	}
	next, err := at.Parse(match[1])
	if err != nil {
		return nil, invalidf("page: %w", err)
	}
	if next.Scheme != at.Scheme || next.Host != at.Host {
		return nil, invalidf("page: expected one of %s, found %q", at.Host, next.Host)
	}
	return next, nil
}

// FallbackTag is the tag under which clients list referrers where the registry
// does not ("Referrers Tag Schema"): sha256-<hex>. With a suffix it is where cosign
// 2 keeps .sig, .att and .sbom.
func FallbackTag(subject release.Digest, suffix string) string {
	return "sha256-" + string(subject)[len("sha256:"):] + suffix
}
