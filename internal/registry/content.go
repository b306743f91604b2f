package registry

import (
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Content is a manifest or an index as the registry holds it.
type Content struct {
	// Digest is computed from Body.
	Digest    release.Digest
	MediaType string
	Body      []byte
}

// Manifest reads what a tag or a digest names, byte for byte: an index, the
// manifest of an image, or that of an artifact. Content named by a digest is
// checked against it.
func (c *Client) Manifest(ctx context.Context, repository, tagOrDigest string) (Content, error) {
	op := "read manifest " + repository + " " + tagOrDigest
	ref, err := c.reference(repository, tagOrDigest)
	if err != nil {
		return Content{}, asFailure(op, err)
	}
	var content Content
	err = c.do(ctx, op, ref.Context().Registry, func(ctx context.Context, puller *remote.Puller) error {
		got, err := puller.Get(ctx, ref)
		if err != nil {
			return err
		}
		digest, err := release.ParseDigest(got.Digest.String())
		if err != nil {
			return invalidf("%w", err)
		}
		content = Content{Digest: digest, MediaType: string(got.MediaType), Body: got.Manifest}
		return nil
	})
	return content, err
}

// Blob reads a blob of at most limit bytes, and checks it against its digest. A
// larger one is an [Error] with [release.CauseInvalid] that wraps [ErrTooLarge].
func (c *Client) Blob(ctx context.Context, repository string, digest release.Digest, limit int64) ([]byte, error) {
	op := "read blob " + repository + "@" + string(digest)
	repo, err := c.repository(repository)
	if err != nil {
		return nil, asFailure(op, err)
	}
	var blob []byte
	err = c.do(withLimit(ctx, limit), op, repo.Registry, func(ctx context.Context, puller *remote.Puller) error {
		layer, err := puller.Layer(ctx, repo.Digest(string(digest)))
		if err != nil {
			return err
		}
		body, err := layer.Compressed()
		if err != nil {
			return err
		}
		blob, err = io.ReadAll(body)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		return nil, err
	}
	return blob, nil
}
