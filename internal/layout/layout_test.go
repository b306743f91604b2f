package layout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestImagesAreToldFromTheirPapers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		entries func(f folder) []object
		want    func(f folder) []layout.Image
	}{
		"an index, with its manifests listed once more": {
			entries: func(f folder) []object {
				return []object{f.index(f.image("a"), f.image("b")).with(nameKey, "v1"), f.image("a"), f.image("b")}
			},
			want: func(f folder) []layout.Image {
				return []layout.Image{{Names: []string{"v1"}, Digest: f.index(f.image("a"), f.image("b")).digest(f.t)}}
			},
		},
		"two images, one with two names": {
			entries: func(f folder) []object {
				return []object{
					f.image("a").with(nameKey, "v1").with("io.containerd.image.name", "example.com/a:v1"),
					f.image("b"), f.image("a").with(nameKey, "v2"),
				}
			},
			want: func(f folder) []layout.Image {
				return []layout.Image{
					{Names: []string{"v1", "example.com/a:v1", "v2"}, Digest: f.image("a").digest(f.t)}, {Digest: f.image("b").digest(f.t)},
				}
			},
		},
		"papers": {
			entries: func(f folder) []object {
				a := f.image("a").digest(f.t)
				return []object{
					f.image("a"), f.referrer(a),
					f.image("sigs").with("kind", "dev.cosignproject.cosign/sigs"),
					f.image("att").with(nameKey, registry.FallbackTag(a, ".att")),
					f.index(f.referrer(a)).with(nameKey, registry.FallbackTag(a, "")),
					f.image("buildkit").with("vnd.docker.reference.type", "attestation-manifest").with("vnd.docker.reference.digest", string(a)),
				}
			},
			want: func(f folder) []layout.Image { return []layout.Image{{Digest: f.image("a").digest(f.t)}} },
		},
		"indexes in an index": {
			entries: func(f folder) []object { return []object{f.index(f.index(f.image("a")), f.index(f.image("b")))} },
			want: func(f folder) []layout.Image {
				return []layout.Image{{Digest: f.index(f.image("a")).digest(f.t)}, {Digest: f.index(f.image("b")).digest(f.t)}}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.list(tt.entries(f)...)
			got, err := f.open().Images("")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want(f), got); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	a, b := f.image("a"), f.image("b")
	listed := f.referrer(a.digest(t))
	of := f.image("attestation").with("vnd.docker.reference.type", "attestation-manifest").with("vnd.docker.reference.digest", string(b.digest(t)))
	f.list(a, b, listed, of)
	f.blob([]byte(`{"subject":[{"digest":{"sha256":"00"}}]}`)) // a paper, not a manifest
	f.write("blobs/sha256/README", []byte("not a blob"))
	l := f.open()
	for subject, want := range map[release.Digest]release.Digest{a.digest(t): listed.digest(t), b.digest(t): of.digest(t)} {
		got, err := l.Referrers(t.Context(), "", subject)
		if err != nil || len(got) != 1 || got[0].Digest.String() != string(want) {
			t.Errorf("of %s: got %v, %v, want %s", subject, got, err, want)
		}
	}
	if got, err := l.Referrers(t.Context(), "", listed.digest(t)); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want none", got, err)
	}
}
