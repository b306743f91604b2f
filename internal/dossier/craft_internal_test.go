package dossier

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/release"
)

// crafted is a dossier of one small image, to be changed before it is written.
type crafted struct {
	t     testing.TB
	blobs map[release.Digest][]byte
	// manifest is dossier.json, before the dossier's own artifact is made of it.
	manifest Manifest
	// index, version and document replace what is made, when they are set.
	index, version, document []byte
	// frames replace the bytes of a frame, and headers a tar header, by name of the entry.
	frames  map[string][]byte
	headers map[string][]byte
	padding byte
	// entries changes the table of contents.
	entries func([]entry) []entry
	schema  string
}

func (c *crafted) blob(mediaType string, b []byte, role Role) v1.Descriptor {
	desc := describe(mediaType, "", b)
	c.blobs[digestOf(b)] = b
	c.manifest.Blobs = append(c.manifest.Blobs, Blob{digestOf(b), int64(len(b)), mediaType, role})
	return desc
}

func (c *crafted) encode(v any) []byte {
	c.t.Helper()
	b, err := encode(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func craft(t testing.TB) *crafted {
	t.Helper()
	c := &crafted{t: t, blobs: make(map[release.Digest][]byte), frames: make(map[string][]byte), headers: make(map[string][]byte), schema: tableSchema}
	config := c.blob(string(types.OCIConfigJSON), []byte(`{"os":"linux","architecture":"amd64"}`), RoleConfig)
	layer := c.blob(string(types.OCILayer), bytes.Repeat([]byte("layer"), 100), RoleLayer)
	image := c.blob(string(types.OCIManifestSchema1), c.encode(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer},
	}), RoleManifest)
	image.Annotations = map[string]string{annotationName: "registry.example/acme/web:v1"}
	report := c.blob(ReportMediaType, []byte("{}\n"), RoleReport)
	c.manifest.Schema, c.manifest.Created, c.manifest.Contents = Schema, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), ContentsImages
	c.manifest.Images = []Image{{"registry.example/acme/web", []string{"v1"}, release.Digest(image.Digest.String())}}
	c.manifest.Index, c.manifest.Report = []v1.Descriptor{image}, release.Digest(report.Digest.String())
	return c
}

// own makes dossier.json, what carries it, and index.json.
func (c *crafted) own() []byte {
	empty := describe(emptyMediaType, "", []byte("{}"))
	if !slices.ContainsFunc(c.manifest.Blobs, func(b Blob) bool { return b.Digest == digestOf([]byte("{}")) }) {
		c.blob(emptyMediaType, []byte("{}"), RoleDossier)
	}
	slices.SortFunc(c.manifest.Blobs, func(a, b Blob) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	document := c.document
	if document == nil {
		document = c.encode(c.manifest)
	}
	c.blobs[digestOf(document)] = document
	report := v1.Descriptor{MediaType: ReportMediaType, Digest: hashOf(c.manifest.Report), Size: int64(len(c.blobs[c.manifest.Report]))}
	carrier := c.encode(newArtifact(MediaType, empty, describe(MediaType, "", document), report))
	c.blobs[digestOf(carrier)] = carrier
	own := describe(string(types.OCIManifestSchema1), "", carrier)
	own.ArtifactType = MediaType
	index, err := c.manifest.index(own)
	if err != nil {
		c.t.Fatal(err)
	}
	return index
}

// write writes the file, and returns its name.
func (c *crafted) write() string {
	c.t.Helper()
	index := c.own()
	if c.index != nil {
		index = c.index
	}
	contents := map[string][]byte{nameIndex: index, nameVersion: []byte(versionFile)}
	if c.version != nil {
		contents[nameVersion] = c.version
	}
	for digest, b := range c.blobs {
		contents[blobPath(digest)] = b
	}
	names := make([]string, 0, len(contents))
	for name := range contents {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []byte
	t := table{Schema: c.schema, Entries: []entry{}}
	add := func(b []byte) frame {
		f := frame{Offset: int64(len(out)), Packed: int64(len(b)), SHA256: strings.TrimPrefix(string(digestOf(b)), "sha256:")}
		out = append(out, b...)
		return f
	}
	for _, name := range names {
		t.Entries = append(t.Entries, entry{name, int64(len(contents[name])), add(c.frame(name, contents[name]))})
	}
	end, ok := c.frames[partEnd]
	if !ok {
		end = compress(c.t, make([]byte, 2*blockSize))
	}
	t.End = add(end)
	if c.entries != nil {
		t.Entries = c.entries(t.Entries)
	}
	foot, err := t.frame()
	if err != nil {
		c.t.Fatal(err)
	}
	path := filepath.Join(c.t.TempDir(), "crafted.dossier")
	if err := os.WriteFile(path, append(out, foot...), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *crafted) frame(name string, content []byte) []byte {
	c.t.Helper()
	if b, ok := c.frames[name]; ok {
		return b
	}
	head, ok := c.headers[name]
	if !ok {
		var err error
		if head, err = header(name, int64(len(content))); err != nil {
			c.t.Fatal(err)
		}
	}
	b := append(bytes.Clone(head), content...)
	return compress(c.t, append(b, bytes.Repeat([]byte{c.padding}, int(padding(int64(len(content)))))...))
}

func compress(t testing.TB, b []byte, options ...zstd.EOption) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithEncoderConcurrency(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll(b, nil)
}

// check opens and checks a file.
func check(t testing.TB, path string, limits Limits) error {
	t.Helper()
	f, err := Open(path, limits)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Check(t.Context(), nil)
	return err
}

// layer returns the path of the layer.
func (c *crafted) layer() string {
	at := slices.IndexFunc(c.manifest.Blobs, func(b Blob) bool { return b.Role == RoleLayer })
	return blobPath(c.manifest.Blobs[at].Digest)
}

func tarHeader(t testing.TB, h tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// asLayout is a crafted dossier's files, for tests of what reads them.
func asLayout(t testing.TB, path string) (*layout.Layout, func()) {
	t.Helper()
	f, err := Open(path, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := f.Layout()
	if err != nil {
		t.Fatal(err)
	}
	return l, func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
