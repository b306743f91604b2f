package dossier

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

func TestACraftedFileIsWholeBeforeItIsChanged(t *testing.T) {
	t.Parallel()
	path := craft(t).write()
	if err := check(t, path, Limits{}); err != nil {
		t.Fatal(err)
	}
	l, done := asLayout(t, path)
	defer done()
	if images, err := l.Images(""); err != nil || len(images) != 1 {
		t.Errorf("images: got %v, %v; want one", images, err)
	}
}

// What somebody made on purpose has right hashes everywhere.
func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	bomb := func(c *crafted, name string) {
		head, err := header(name, 500)
		if err != nil {
			t.Fatal(err)
		}
		head = append(head, bytes.Repeat([]byte("layer"), 100)...)
		c.frames[name] = compress(t, append(head, make([]byte, 8<<20)...))
	}
	tests := map[string]struct {
		change func(*crafted)
		limits Limits
		want   error
		says   []string
	}{
		"a symbolic link": {
			func(c *crafted) {
				c.headers[nameVersion] = tarHeader(t, tar.Header{Typeflag: tar.TypeSymlink, Name: nameVersion, Linkname: "/etc/passwd", Mode: 0o777})
			},
			Limits{},
			ErrDamaged,
			[]string{nameVersion, "expected regular file", `found symbolic link "oci-layout"`, `to "/etc/passwd"`},
		},
		"a hard link": {
			func(c *crafted) {
				name := c.layer()
				c.headers[name] = tarHeader(t, tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: "../outside", Mode: 0o644})
			},
			Limits{},
			ErrDamaged,
			[]string{"found hard link", `to "../outside"`},
		},
		"a name in the header that leads out": {
			func(c *crafted) {
				name := c.layer()
				c.headers[name] = tarHeader(t, tar.Header{Typeflag: tar.TypeReg, Name: "../../etc/cron.d/x", Size: 500, Mode: 0o644})
			},
			Limits{},
			ErrDamaged,
			[]string{`found regular file "../../etc/cron.d/x"`},
		},
		"a name in the table that leads out": {
			func(c *crafted) {
				c.entries = func(all []entry) []entry { all[0].Name = "blobs/sha256/../../../x"; return all }
			},
			Limits{},
			ErrDamaged,
			[]string{partTable, `entry "blobs/sha256/../../../x": expected oci-layout, index.json or blobs/sha256/`},
		},
		"an absolute name": {
			func(c *crafted) { c.entries = func(all []entry) []entry { all[0].Name = "/index.json"; return all } },
			Limits{},
			ErrDamaged,
			[]string{`entry "/index.json": expected`},
		},
		"an entry twice": {
			func(c *crafted) {
				c.entries = func(all []entry) []entry { all[1].Name = all[0].Name; return all }
			},
			Limits{},
			ErrDamaged,
			[]string{"expected once, found again"},
		},
		"entries out of order": {
			func(c *crafted) {
				c.entries = func(all []entry) []entry { all[0].Name, all[1].Name = all[1].Name, all[0].Name; return all }
			},
			Limits{},
			ErrDamaged,
			[]string{"expected in the order of names"},
		},
		"an owner": {
			func(c *crafted) {
				c.headers[nameVersion] = tarHeader(t, tar.Header{Typeflag: tar.TypeReg, Name: nameVersion, Size: int64(len(versionFile)), Mode: 0o644, Uid: 1000, Uname: "eve"})
			},
			Limits{},
			ErrDamaged,
			[]string{"owner 1000:0", `"eve"`},
		},
		"padding that is not zero": {
			func(c *crafted) { c.padding = 'x' },
			Limits{},
			ErrDamaged,
			[]string{"padding: expected zeros, found 0x78"},
		},
		"more behind the content than padding": {
			func(c *crafted) { bomb(c, c.layer()) },
			Limits{},
			ErrDamaged,
			[]string{"padding: expected 12 bytes and the end, found more"},
		},
		"something behind the end of the archive": {
			func(c *crafted) { c.frames[partEnd] = compress(t, make([]byte, 3*blockSize)) },
			Limits{},
			ErrDamaged,
			[]string{partEnd, "expected 1024 bytes and the end, found more"},
		},
		"two frames in the place of one": {
			func(c *crafted) {
				c.frames[partEnd] = append(compress(t, make([]byte, blockSize)), compress(t, make([]byte, blockSize))...)
			},
			Limits{},
			ErrDamaged,
			[]string{partEnd, "expected one Zstandard frame of"},
		},
		"a skippable frame before the one": {
			func(c *crafted) {
				c.frames[partEnd] = append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'h', 'i', 'd', 'e'}, compress(t, make([]byte, 2*blockSize))...)
			},
			Limits{},
			ErrDamaged,
			[]string{partEnd, "found a skippable one"},
		},
		"a skippable frame behind the one": {
			func(c *crafted) {
				c.frames[partEnd] = append(compress(t, make([]byte, 2*blockSize)), 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'h', 'i', 'd', 'e')
			},
			Limits{},
			ErrDamaged,
			[]string{partEnd, "expected one Zstandard frame"},
		},
		"a frame without a checksum": {
			func(c *crafted) {
				c.frames[partEnd] = compress(t, make([]byte, 2*blockSize), zstd.WithEncoderCRC(false))
			},
			Limits{},
			ErrDamaged,
			[]string{partEnd, "with a content checksum, found none"},
		},
		"what is no frame": {
			func(c *crafted) { c.frames[partEnd] = []byte("no frame") },
			Limits{},
			ErrDamaged,
			[]string{partEnd, "expected a Zstandard frame, found 6e6f2066"},
		},
		"a blob of another digest": {
			func(c *crafted) {
				name := c.layer()
				head, err := header(name, 500)
				if err != nil {
					t.Fatal(err)
				}
				c.frames[name] = compress(t, append(head, make([]byte, 512)...))
			},
			Limits{},
			ErrDamaged,
			[]string{"content: expected sha256 ", ", found "},
		},
		"a blob that is listed and missing": {
			func(c *crafted) { delete(c.blobs, digestOf(bytes.Repeat([]byte("layer"), 100))) },
			Limits{},
			ErrDamaged,
			[]string{"expected a layer of 500 bytes, found it missing"},
		},
		"a manifest that is listed and missing": {
			func(c *crafted) { delete(c.blobs, c.manifest.Images[0].Digest) },
			Limits{},
			ErrDamaged,
			[]string{"read manifest sha256:", "not found"},
		},
		"a blob that is not listed": {
			func(c *crafted) { c.blobs[digestOf([]byte("hidden"))] = []byte("hidden") },
			Limits{},
			ErrDamaged,
			[]string{string(digestOf([]byte("hidden"))[7:]), "expected what dossier.json lists, found an entry beside"},
		},
		"a blob that is listed and nothing leads to": {
			func(c *crafted) { c.blob("text/plain", []byte("hidden"), RolePaper) },
			Limits{},
			ErrDamaged,
			[]string{"found a blob that nothing leads to"},
		},
		"a blob under another role": {
			func(c *crafted) { c.manifest.Blobs[1].Role = RolePaper },
			Limits{},
			ErrDamaged,
			[]string{"as layer, found 500 bytes", `as "paper"`},
		},
		"a layer that is not listed": {
			func(c *crafted) {
				c.manifest.Blobs = append(c.manifest.Blobs[:1], c.manifest.Blobs[2:]...)
				delete(c.blobs, digestOf(bytes.Repeat([]byte("layer"), 100)))
			},
			Limits{},
			ErrDamaged,
			[]string{"expected this layer in the list of blobs, found it missing"},
		},
		"another oci-layout": {
			func(c *crafted) { c.version = []byte(`{"imageLayoutVersion":"1.0.1"}`) },
			Limits{},
			ErrDamaged,
			[]string{nameVersion, `{"imageLayoutVersion":"1.0.0"}`, `1.0.1`},
		},
		"another index.json": {
			func(c *crafted) {
				c.index = bytes.Replace(c.own(), []byte("acme/web:v1"), []byte("acme/web:v2"), 1)
			},
			Limits{},
			ErrDamaged,
			[]string{nameIndex, "expected what dossier.json says"},
		},
		"an index.json of no dossier": {
			func(c *crafted) { c.index = []byte(`{"schemaVersion":2,"manifests":[]}`) },
			Limits{},
			ErrDamaged,
			[]string{nameIndex, "expected the last entry to be an artifact of type " + MediaType, "found none"},
		},
		"an image that is none": {
			func(c *crafted) { c.manifest.Images[0].Digest = c.manifest.Report },
			Limits{},
			ErrDamaged,
			[]string{"dossier.json"},
		},
		"an oversized manifest": {
			func(c *crafted) {
				big := c.blob(string(types.OCIManifestSchema1), append([]byte(`{"schemaVersion":2,"config":{},"layers":[],"x":"`), append(bytes.Repeat([]byte("x"), 5<<20), `"}`...)...), RolePaperManifest)
				c.manifest.Index = append(c.manifest.Index, v1.Descriptor{MediaType: big.MediaType, Digest: big.Digest, Size: big.Size})
			},
			Limits{},
			ErrDamaged,
			[]string{"too large: expected at most 4194304 bytes"},
		},
		"a table of another schema": {
			func(c *crafted) { c.schema = tableSchema + "0" },
			Limits{},
			ErrVersion,
			[]string{partTable, "expected " + tableSchema + ", found"},
		},
		"a dossier.json of another schema": {
			func(c *crafted) {
				c.document = []byte(`{"schema":"https://github.com/tallyman-io/tallyman/dossier/v2"}`)
			},
			Limits{},
			ErrVersion,
			[]string{"dossier.json", "expected " + Schema, "dossier/v2"},
		},
		"a dossier.json with more fields": {
			func(c *crafted) {
				c.document = bytes.Replace(c.encode(c.manifest), []byte(`"contents"`), []byte("\"more\": 1,\n  \"contents\""), 1)
			},
			Limits{},
			ErrDamaged,
			[]string{"dossier.json", `"more"`},
		},
		"a dossier.json in another form": {
			func(c *crafted) { c.document = append(c.encode(c.manifest), ' ') },
			Limits{},
			ErrDamaged,
			[]string{"dossier.json", "expected the form that tallyman writes"},
		},
		"a name that does something to a terminal": {
			func(c *crafted) { c.manifest.Images[0].Repository = "registry.example/\x1b[2Jacme" },
			Limits{},
			ErrDamaged,
			[]string{"dossier.json", `found "registry.example/\x1b[2Jacme"`},
		},
		"a dossier.json without images": {
			func(c *crafted) { c.manifest.Images = []Image{} },
			Limits{},
			ErrDamaged,
			[]string{"images: expected at least one, found none"},
		},
		"more entries than are taken": {
			func(*crafted) {},
			Limits{Entries: 3},
			ErrLimit,
			[]string{"expected at most 3 entries, found"},
		},
		"more bytes than are taken": {
			func(*crafted) {},
			Limits{Size: 1000},
			ErrLimit,
			[]string{"expected at most 1000 bytes in all"},
		},
		"a size that no file has": {
			func(c *crafted) { c.entries = func(all []entry) []entry { all[0].Size = 1 << 62; return all } },
			Limits{},
			ErrLimit,
			[]string{"bytes in all"},
		},
		"a negative size": {
			func(c *crafted) { c.entries = func(all []entry) []entry { all[0].Size = -1; return all } },
			Limits{},
			ErrLimit,
			[]string{"found an entry of -1"},
		},
		"frames that overlap": {
			func(c *crafted) { c.entries = func(all []entry) []entry { all[1].Offset--; return all } },
			Limits{},
			ErrDamaged,
			[]string{partTable, "expected from byte"},
		},
		"a frame beyond the end": {
			func(c *crafted) { c.entries = func(all []entry) []entry { all[1].Packed = 1 << 62; return all } },
			Limits{},
			ErrDamaged,
			[]string{partTable, "at most up to byte"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := craft(t)
			tt.change(c)
			err := check(t, c.write(), tt.limits)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestAWindowThatNeedsMuchMemoryIsRefused(t *testing.T) {
	t.Parallel()
	c := craft(t)
	b := make([]byte, 2*blockSize)
	// A header with a window of 1 GiB (RFC 8878, section 3.1.1.1.2), a raw block, and a
	// checksum that nobody comes to.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 20 << 3}
	last := binary.LittleEndian.AppendUint32(nil, 2*blockSize<<3|1)
	frame = append(append(frame, last[:3]...), b...)
	c.frames[partEnd] = append(frame, 0, 0, 0, 0)
	if err := check(t, c.write(), Limits{}); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "expected a Zstandard window of at most 8388608 bytes, found 1073741824") {
		t.Errorf("got %v, want %v", err, ErrLimit)
	}
}
