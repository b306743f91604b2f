package layout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// maxManifest bounds a manifest or an index, in bytes, as registries bound what is
// pushed to them (distribution specification, "Pushing Manifests").
const maxManifest = 4 << 20

// Manifest reads what a name of index.json, a tag that papers lie under, or a digest
// stands for. The repository is not looked at: a layout has no other. Failures are
// [registry.Error]s.
func (l *Layout) Manifest(ctx context.Context, _, nameOrDigest string) (registry.Content, error) {
	op := "read manifest " + nameOrDigest + " of " + l.path
	if err := ctx.Err(); err != nil {
		return registry.Content{}, fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	digest, err := release.ParseDigest(nameOrDigest)
	if err != nil {
		named, ok := l.names[nameOrDigest]
		if !ok {
			return registry.Content{}, failed(op, fmt.Errorf("%w in %s", fs.ErrNotExist, fileIndex))
		}
		if len(named) > 1 {
			return registry.Content{}, failed(op, fmt.Errorf("expected one manifest, found %d", len(named)))
		}
		digest = named[0]
	}
	content, err := l.manifest(digest)
	if err != nil {
		return registry.Content{}, failed(op, err)
	}
	return content, nil
}

// Blob reads a blob of at most limit bytes, and checks it against its digest. A
// larger one is a [registry.Error] that wraps [registry.ErrTooLarge].
func (l *Layout) Blob(ctx context.Context, _ string, digest release.Digest, limit int64) ([]byte, error) {
	op := "read blob " + string(digest) + " of " + l.path
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	blob, err := l.blob(digest, limit)
	if err != nil {
		return nil, failed(op, err)
	}
	return blob, nil
}

// Stream opens a blob of size bytes that is too large to hold. The reader fails at
// the end of what does not have the digest; whoever reads closes it.
func (l *Layout) Stream(ctx context.Context, _ string, digest release.Digest, size int64) (io.ReadCloser, error) {
	op := "read blob " + string(digest) + " of " + l.path
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	if _, err := release.ParseDigest(string(digest)); err != nil {
		return nil, failed(op, err)
	}
	name := folderBlobs + "/" + strings.TrimPrefix(string(digest), "sha256:")
	file, found, err := l.files.Open(name)
	if err != nil {
		return nil, failed(op, err)
	}
	if found != size {
		return nil, errors.Join(failed(op, fmt.Errorf("%s: expected %d bytes, found %d", name, size, found)), file.Close())
	}
	return &hashed{ReadCloser: file, hash: sha256.New(), want: digest, op: op}, nil
}

// hashed is a blob that is compared with its digest as it is read.
type hashed struct {
	io.ReadCloser

	hash hash.Hash
	want release.Digest
	op   string
}

// Read implements [io.Reader].
func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.hash.Write(p[:n])
	switch {
	case errors.Is(err, io.EOF):
		if found := release.Digest("sha256:" + hex.EncodeToString(h.hash.Sum(nil))); found != h.want {
			return n, failed(h.op, fmt.Errorf("expected content of that digest, found %s", found))
		}
	case err != nil:
		err = failed(h.op, err)
	}
	return n, err
}

// Referrers lists the manifests whose subject is the digest, in index.json or only
// among the blobs, as `cosign save` leaves them, and what index.json marks as an
// attestation of it.
func (l *Layout) Referrers(ctx context.Context, _ string, subject release.Digest) ([]v1.Descriptor, error) {
	op := "list referrers of " + string(subject) + " in " + l.path
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	all, err := l.referrers()
	if err != nil {
		return nil, failed(op, err)
	}
	return slices.Clone(all[subject]), nil
}

func failed(op string, err error) error {
	e := &registry.Error{Op: op, Cause: release.CauseInvalid, Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		e.Cause = release.CauseNotFound
	}
	return e
}

func (l *Layout) read(name string, limit int64) ([]byte, error) {
	file, size, err := l.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > limit {
		return nil, fmt.Errorf("%s: %w: expected at most %d bytes, found %d", name, registry.ErrTooLarge, limit, size)
	}
	// A file may grow while it is read.
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: %w: expected at most %d bytes", name, registry.ErrTooLarge, limit)
	}
	return b, nil
}

func (l *Layout) blob(digest release.Digest, limit int64) ([]byte, error) {
	if _, err := release.ParseDigest(string(digest)); err != nil {
		return nil, err
	}
	name := folderBlobs + "/" + strings.TrimPrefix(string(digest), "sha256:")
	b, err := l.read(name, limit)
	if err != nil {
		return nil, err
	}
	if found := digestOf(b); found != digest {
		return nil, fmt.Errorf("%s: expected content of that digest, found %s", name, found)
	}
	return b, nil
}

func digestOf(b []byte) release.Digest {
	sum := sha256.Sum256(b)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func (l *Layout) manifest(digest release.Digest) (registry.Content, error) {
	b, err := l.blob(digest, maxManifest)
	if err != nil {
		return registry.Content{}, err
	}
	mediaType, err := mediaTypeOf(b)
	if err != nil {
		return registry.Content{}, fmt.Errorf("manifest %s: %w", digest, err)
	}
	return registry.Content{Digest: digest, MediaType: string(mediaType), Body: b}, nil
}

// mediaTypeOf tells an index from a manifest. The descriptor that led here may come
// from anywhere, so that the content alone decides, and what can be read as both is
// refused (image specification, "Matching media types"; CVE-2021-41190).
func mediaTypeOf(b []byte) (types.MediaType, error) {
	var head struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
		Layers    json.RawMessage `json:"layers"`
		Config    json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return "", fmt.Errorf("expected a manifest or an index: %w", err)
	}
	index, image := head.Manifests != nil, head.Layers != nil || head.Config != nil
	switch {
	case index == image:
		return "", errors.New("expected either manifests, as an index has, or config and layers, as a manifest has")
	case index && head.MediaType == "":
		return types.OCIImageIndex, nil
	case image && head.MediaType == "":
		return types.OCIManifestSchema1, nil
	case index && !head.MediaType.IsIndex(), image && !head.MediaType.IsImage():
		return "", fmt.Errorf("expected the media type of an index or a manifest, found %.100q", head.MediaType)
	default:
		return head.MediaType, nil
	}
}

// findReferrers reads the manifests among the blobs. That it has to be all of them
// is so because a layout need not list what refers to its images. One that cannot be
// read may be any image's.
func (l *Layout) findReferrers() (map[release.Digest][]v1.Descriptor, error) {
	names, err := l.files.Blobs()
	if err != nil {
		return nil, err
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%s: expected at most %d blobs", folderBlobs, maxFiles)
	}
	slices.Sort(names)
	all := make(map[release.Digest][]v1.Descriptor, len(l.marked))
	for subject, marked := range l.marked {
		all[subject] = slices.Clone(marked)
	}
	for _, name := range names {
		digest, err := release.ParseDigest("sha256:" + name)
		if err != nil {
			continue // nothing leads to it
		}
		desc, subject, err := l.referrer(digest)
		if err != nil {
			return nil, err
		}
		if subject != "" {
			all[subject] = append(all[subject], desc)
		}
	}
	return all, nil
}

// referrer describes a blob that is a manifest with a subject; the subject is empty
// for any other.
func (l *Layout) referrer(digest release.Digest) (v1.Descriptor, release.Digest, error) {
	name := folderBlobs + "/" + strings.TrimPrefix(string(digest), "sha256:")
	file, size, err := l.files.Open(name)
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	defer file.Close()
	var first [1]byte
	if size > maxManifest {
		return v1.Descriptor{}, "", nil
	}
	if n, err := file.Read(first[:]); n == 0 || first[0] != '{' {
		if err != nil && !errors.Is(err, io.EOF) {
			return v1.Descriptor{}, "", fmt.Errorf("%s: %w", name, err)
		}
		return v1.Descriptor{}, "", nil
	}
	b, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err != nil {
		return v1.Descriptor{}, "", fmt.Errorf("%s: %w", name, err)
	}
	b = append(first[:], b...)
	if !bytes.Contains(b, []byte(`"subject"`)) {
		return v1.Descriptor{}, "", nil
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(b))
	if err != nil || manifest.Subject == nil || manifest.SchemaVersion == 0 {
		return v1.Descriptor{}, "", nil // something else in JSON, such as a paper
	}
	if found := digestOf(b); found != digest {
		return v1.Descriptor{}, "", fmt.Errorf("%s: expected content of that digest, found %s", name, found)
	}
	subject, err := release.ParseDigest(manifest.Subject.Digest.String())
	if err != nil {
		return v1.Descriptor{}, "", nil // of an algorithm that no image here is named by
	}
	hash := v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(string(digest), "sha256:")}
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash, Size: int64(len(b)), Annotations: manifest.Annotations}, subject, nil
}
