package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/release"
)

// slowest is the rate, in bytes a second, at which a blob has to come or go at least.
// A request for one has the time of any request, and what its size takes at this rate.
const slowest = 64 << 10

func timeOf(size int64) time.Duration { return time.Duration(max(size, 0)/slowest) * time.Second }

type patienceKey struct{}

// withPatience gives the requests of an operation more time than any request has.
func withPatience(ctx context.Context, more time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, more)
}

func patienceOf(ctx context.Context) time.Duration {
	more, _ := ctx.Value(patienceKey{}).(time.Duration)
	return more
}

// Stream opens a blob of size bytes that is too large to hold. The reader compares
// what comes with the digest and fails with an [Error] at the end of what differs;
// whoever reads closes it.
func (c *Client) Stream(ctx context.Context, repository string, digest release.Digest, size int64) (io.ReadCloser, error) {
	op := "read blob " + repository + "@" + string(digest)
	repo, err := c.repository(repository)
	if err != nil {
		return nil, asFailure(op, err)
	}
	var stream *blobStream
	err = c.do(withPatience(withLimit(ctx, size), timeOf(size)), op, repo.Registry, func(ctx context.Context, puller *remote.Puller) error {
		layer, err := puller.Layer(ctx, repo.Digest(string(digest)))
		if err != nil {
			return err
		}
		body, err := layer.Compressed()
		if err != nil {
			return err
		}
		stream = &blobStream{ReadCloser: body, failed: func(err error) error {
			return classify(ctx, op, &throttle{}, err)
		}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// blobStream is the body of a blob whose failures are those of the operation.
type blobStream struct {
	io.ReadCloser

	failed func(error) error
}

// Read implements [io.Reader].
func (s *blobStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.failed(err)
	}
	return n, err
}

// Blob is a blob to put into a repository.
type Blob struct {
	Digest release.Digest
	Size   int64
	// MediaType is that of its descriptor.
	MediaType string
	// From is a repository that has it, "" when none is known. It is mounted from there
	// when that is of the same registry, and not sent.
	From string
	// Open gives its bytes, anew for each attempt.
	Open func(context.Context) (io.ReadCloser, error)
}

// PutBlob sends a blob, unless the repository has it or it can be mounted. The result
// tells whether it was sent. Failures of Open and of its reader are passed on as they
// are.
func (p *Publisher) PutBlob(ctx context.Context, repository string, blob Blob) (sent bool, err error) {
	op := "send blob " + repository + "@" + string(blob.Digest)
	repo, err := p.client.repository(repository)
	if err != nil {
		return false, asFailure(op, err)
	}
	hash, err := v1.NewHash(string(blob.Digest))
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	err = p.patiently(ctx, func() error {
		ctx, limits := withThrottle(withRegistry(withPatience(ctx, timeOf(blob.Size)), repo.Registry))
		pusher, err := p.pusher()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		outgoing := &outgoing{ctx: ctx, blob: blob, hash: hash}
		var layer v1.Layer = outgoing
		if from, err := p.client.repository(blob.From); blob.From != "" && err == nil && from.Registry == repo.Registry && from.Name() != repo.Name() {
			layer = &remote.MountableLayer{Layer: outgoing, Reference: from.Digest(string(blob.Digest))}
		}
		if err := pusher.Upload(ctx, repo, layer); err != nil {
			if own := outgoing.failure(); own != nil {
				return own
			}
			return classify(ctx, op, limits, err)
		}
		sent = outgoing.opened
		return nil
	})
	return sent, err
}

// PutManifest stores a manifest under its digest, or under a tag when there is one. A
// manifest with a subject is listed for it: by the registry, or under [FallbackTag]
// where the registry has no referrers API (distribution specification, "Pushing
// Manifests with Subject").
func (p *Publisher) PutManifest(ctx context.Context, repository, tag string, content Content) error {
	op := "put manifest " + repository + "@" + string(content.Digest)
	identifier := string(content.Digest)
	if tag != "" {
		op, identifier = op+" as "+tag, tag
	}
	ref, err := p.client.reference(repository, identifier)
	if err != nil {
		return asFailure(op, err)
	}
	return p.patiently(ctx, func() error {
		ctx, limits := withThrottle(withRegistry(ctx, ref.Context().Registry))
		pusher, err := p.pusher()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if err := pusher.Put(ctx, ref, rawManifest{content}); err != nil {
			return classify(ctx, op, limits, err)
		}
		return nil
	})
}

// Manifest is [Client.Manifest], asked for patiently.
func (p *Publisher) Manifest(ctx context.Context, repository, tagOrDigest string) (content Content, err error) {
	err = p.patiently(ctx, func() error {
		content, err = p.client.Manifest(ctx, repository, tagOrDigest)
		return err
	})
	return content, err
}

// Referrers is [Client.Referrers], asked for patiently.
func (p *Publisher) Referrers(ctx context.Context, repository string, subject release.Digest) (all []v1.Descriptor, err error) {
	err = p.patiently(ctx, func() error {
		all, err = p.client.Referrers(ctx, repository, subject)
		return err
	})
	return all, err
}

// Blob is [Client.Blob], asked for patiently.
func (p *Publisher) Blob(ctx context.Context, repository string, digest release.Digest, limit int64) (blob []byte, err error) {
	err = p.patiently(ctx, func() error {
		blob, err = p.client.Blob(ctx, repository, digest, limit)
		return err
	})
	return blob, err
}

// HasBlob reports whether a repository has a blob.
func (p *Publisher) HasBlob(ctx context.Context, repository string, digest release.Digest) (found bool, err error) {
	op := "look for blob " + repository + "@" + string(digest)
	repo, err := p.client.repository(repository)
	if err != nil {
		return false, asFailure(op, err)
	}
	err = p.patiently(ctx, func() error {
		return p.client.do(ctx, op, repo.Registry, func(ctx context.Context, puller *remote.Puller) error {
			layer, err := puller.Layer(ctx, repo.Digest(string(digest)))
			if err != nil {
				return err
			}
			// Of a layer in a registry, this asks for its headers.
			_, err = layer.Size()
			return err
		})
	})
	var failed *Error
	if errors.As(err, &failed) && failed.Cause == release.CauseNotFound {
		return false, nil
	}
	return err == nil, err
}

// makePusher makes what keeps a token for each repository.
func (p *Publisher) makePusher() (*remote.Pusher, error) {
	return remote.NewPusher(append(slices.Clone(p.options), remote.WithRetryBackoff(atOnce()), remote.WithRetryPredicate(wasCut))...)
}

// rawManifest is a manifest that is put as it is.
type rawManifest struct{ content Content }

// RawManifest implements [remote.Taggable].
func (m rawManifest) RawManifest() ([]byte, error) { return bytes.Clone(m.content.Body), nil }

// MediaType is what the registry is told.
func (m rawManifest) MediaType() (types.MediaType, error) {
	return types.MediaType(m.content.MediaType), nil
}

// outgoing is a blob in the form that the library sends.
type outgoing struct {
	ctx  context.Context
	blob Blob
	hash v1.Hash

	mu     sync.Mutex
	opened bool
	err    error
}

// Digest implements [v1.Layer], as the methods after it do.
func (o *outgoing) Digest() (v1.Hash, error) { return o.hash, nil }

// DiffID is that of what is not compressed a second time.
func (o *outgoing) DiffID() (v1.Hash, error) { return o.hash, nil }

// Size is in bytes.
func (o *outgoing) Size() (int64, error) { return o.blob.Size, nil }

// MediaType is that of the descriptor.
func (o *outgoing) MediaType() (types.MediaType, error) {
	return types.MediaType(o.blob.MediaType), nil
}

// Uncompressed is the blob as it is.
func (o *outgoing) Uncompressed() (io.ReadCloser, error) { return o.Compressed() }

// Compressed opens the blob.
func (o *outgoing) Compressed() (io.ReadCloser, error) {
	body, err := o.blob.Open(o.ctx)
	o.mu.Lock()
	o.opened = true
	o.mu.Unlock()
	if err != nil {
		return nil, o.note(err)
	}
	return &outgoingBody{ReadCloser: body, of: o}, nil
}

func (o *outgoing) note(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
	return err
}

// failure is that of the source, which is none of the registry's.
func (o *outgoing) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

type outgoingBody struct {
	io.ReadCloser

	of     *outgoing
	closed atomic.Bool
}

// Read implements [io.Reader].
func (b *outgoingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	// A request that ended closes its body while it may still be read.
	if err != nil && !errors.Is(err, io.EOF) && !b.closed.Load() {
		err = b.of.note(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *outgoingBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}
