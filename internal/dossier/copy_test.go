package dossier_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func (w *world) copyOptions(tags ...string) dossier.CopyOptions {
	return dossier.CopyOptions{Tags: tags, Trust: w.trust(), Now: at, Accept: accept}
}

// accept demands a signature and the papers of the world.
func accept(e release.Examination) error {
	for _, kind := range []release.PaperKind{release.PaperSignature, release.PaperProvenance, release.PaperVEX} {
		if state, reason := e.State(kind); state != release.StateVerified {
			return errors.New(string(kind) + " is " + string(state) + ": " + reason)
		}
	}
	return nil
}

// fromFile makes a dossier, and returns its image. The registry that it came from is
// gone.
func (w *world) fromFile(change ...func(*dossier.Options)) dossier.Item {
	w.t.Helper()
	path, _ := w.create(change...)
	w.server.Fail(registrytest.Status(http.StatusServiceUnavailable))
	f, checked := open(w.t, path)
	l, err := f.Layout()
	if err != nil {
		w.t.Fatal(err)
	}
	image := checked.Manifest.Images[0]
	return dossier.Item{Source: l, Repository: image.Repository, Digest: image.Digest, Listed: release.LayoutDisk}
}

func target() *registry.Publisher { return registry.NewPublisher(registry.Config{}) }

// Acceptance: through a plain file to an empty registry, of either kind, from either
// kind.
func TestACopyThroughAFileVerifiesInAnEmptyRegistry(t *testing.T) {
	t.Parallel()
	for from, source := range servers(t) {
		w := newWorld(t, source)
		want := states(w.examine(w.client, w.repository))
		item := w.fromFile()
		for to, server := range servers(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				repository := server.Repository("mirror/web")
				copied, err := dossier.Copy(t.Context(), item, target(), repository, w.copyOptions("v1.0.0", "latest"))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, states(w.examine(registry.New(registry.Config{}), repository))); diff != "" {
					t.Errorf("states (-source +copy):\n%s", diff)
				}
				for _, tag := range []string{"v1.0.0", "latest"} {
					if digest, err := w.client.Resolve(t.Context(), repository, tag); err != nil || digest != w.digest {
						t.Errorf("tag %s: got %s, %v; want %s", tag, digest, err, w.digest)
					}
				}
				if copied.Papers != 4 || copied.Sent == 0 || copied.SentBytes == 0 {
					t.Errorf("got %+v, want papers and blobs", copied)
				}
			})
		}
	}
}

func TestACopyThatIsMadeAgainSendsNoBlob(t *testing.T) {
	t.Parallel()
	for name, server := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registrytest.New(t))
			repository := server.Repository("mirror/web")
			first, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions("v1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			tags, err := w.client.Tags(t.Context(), repository)
			if err != nil {
				t.Fatal(err)
			}
			uploads := posts(server)
			second, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions("v1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			if len(*uploads) != 0 || second.Sent != 0 || second.There != first.Sent+first.There {
				t.Errorf("uploads: got %v, %+v after %+v", *uploads, second, first)
			}
			again, err := w.client.Tags(t.Context(), repository)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tags, again); diff != "" {
				t.Errorf("tags (-first +second):\n%s", diff)
			}
		})
	}
}

func TestACopyThatFailsLeavesNoTag(t *testing.T) {
	t.Parallel()
	refuse := func(method, part string) registrytest.Fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != method || !strings.Contains(r.URL.Path, part) {
				return false
			}
			return registrytest.Status(http.StatusForbidden)(w, r)
		}
	}
	for name, tt := range map[string]struct {
		fault  registrytest.Fault
		change func(*dossier.CopyOptions)
		want   string
	}{
		"blobs are not taken":        {fault: refuse(http.MethodPost, "/blobs/uploads"), want: "send blob"},
		"manifests are not taken":    {fault: refuse(http.MethodPut, "/manifests/"), want: "put manifest"},
		"papers are not taken":       {fault: refuse(http.MethodPut, ".sig"), want: ".sig"},
		"papers cannot be read back": {fault: refuse(http.MethodGet, "/blobs/"), want: "refused: "},
		"what is there is not accepted": {change: func(o *dossier.CopyOptions) {
			o.Accept = func(release.Examination) error { return errors.New("not enough") }
		}, want: "not enough"},
		"a version names something else": {want: "tag v1.0.0: expected none, or sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registrytest.New(t))
			server := registrytest.NewWithReferrers(t)
			repository := server.Repository("mirror/web")
			if tt.fault == nil && tt.change == nil {
				server.Push(t, "mirror/web", registrytest.Index(t, 8, "another", "linux/amd64"), "v1.0.0")
			}
			server.Fail(tt.fault)
			o := w.copyOptions("v1.0.0", "latest")
			if tt.change != nil {
				tt.change(&o)
			}
			if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want it to say %q", err, tt.want)
			}
			server.Fail(nil)
			tags, err := target().Tags(t.Context(), repository)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(tags, "latest") || slices.Contains(tags, "v1.0.0") && tt.change == nil && tt.fault != nil {
				t.Errorf("got tags %v", tags)
			}

			if tt.fault == nil {
				return
			}
			// Made again, it goes on where it stopped.
			if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions("v1.0.0")); err != nil {
				t.Errorf("made again: %v", err)
			}
		})
	}
}

func TestForceMovesAVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	server := registrytest.New(t)
	repository := server.Repository("mirror/web")
	server.Push(t, "mirror/web", registrytest.Index(t, 8, "another", "linux/amd64"), "v1.0.0", "latest")
	o := w.copyOptions("v1.0.0", "latest")
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, o); !errors.Is(err, dossier.ErrRefused) {
		t.Fatalf("got %v, want %v", err, dossier.ErrRefused)
	}
	o.Force = true
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, o); err != nil {
		t.Fatal(err)
	}
	if digest, err := w.client.Resolve(t.Context(), repository, "v1.0.0"); err != nil || digest != w.digest {
		t.Errorf("got %s, %v; want %s", digest, err, w.digest)
	}
}

// Somebody signed the image at the target.
func TestPapersAtTheTargetAreNotReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	server := registrytest.New(t)
	repository := server.Repository("mirror/web")
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions()); err != nil {
		t.Fatal(err)
	}
	evidencetest.NewKey(t).Sign(t, repository, w.digest)
	o := w.copyOptions()
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, o); !errors.Is(err, dossier.ErrRefused) || !strings.Contains(err.Error(), ".sig: expected papers that the source has, found others") {
		t.Fatalf("got %v, want %v", err, dossier.ErrRefused)
	}
	o.Force = true
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, o); err != nil {
		t.Fatal(err)
	}
}

// Somebody signed the image at the target as well, into the same manifest.
func TestMorePapersAtTheTargetAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	server := registrytest.New(t)
	repository := server.Repository("mirror/web")
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions()); err != nil {
		t.Fatal(err)
	}
	tag := evidencetest.Tag(w.digest, "sig")
	before, err := w.client.Manifest(t.Context(), repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	evidencetest.NewKey(t).Sign(t, repository, w.digest)
	theirs, err := w.client.Manifest(t.Context(), repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	var both, more v1.Manifest
	if err := errors.Join(json.Unmarshal(before.Body, &both), json.Unmarshal(theirs.Body, &more)); err != nil {
		t.Fatal(err)
	}
	both.Layers = append(both.Layers, more.Layers...)
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(repo.Tag(tag), raw(marshal(t, both))); err != nil {
		t.Fatal(err)
	}
	if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions()); err != nil {
		t.Fatal(err)
	}
	after, err := w.client.Manifest(t.Context(), repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	if want := digestOf(marshal(t, both)); string(after.Digest) != want {
		t.Errorf("tag %s: got %s, want %s, which holds both signatures", tag, after.Digest, want)
	}
}

func TestPapersOnlyGoWhereTheImageIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	item := w.fromFile(func(o *dossier.Options) { o.PapersOnly = true })
	server := registrytest.NewWithReferrers(t)
	repository := server.Repository("mirror/web")
	o := w.copyOptions("v1.0.0")
	o.PapersOnly = true
	if _, err := dossier.Copy(t.Context(), item, target(), repository, o); !errors.Is(err, dossier.ErrRefused) || !strings.Contains(err.Error(), "expected layer sha256:") {
		t.Fatalf("to an empty registry: got %v, want %v", err, dossier.ErrRefused)
	}
	server.Push(t, "mirror/web", registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64"), "v1.0.0")
	copied, err := dossier.Copy(t.Context(), item, target(), repository, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := accept(copied.Examination); err != nil {
		t.Error(err)
	}
}

func TestACopyWithoutTrustHasAllPapers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.NewWithReferrers(t))
	repository := registrytest.New(t).Repository("mirror/web")
	o := dossier.CopyOptions{Trust: evidence.Trust{Nobody: true}, Now: time.Now}
	copied, err := dossier.Copy(t.Context(), w.item(), target(), repository, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := accept(w.examine(w.client, repository)); err != nil {
		t.Errorf("%v; copied %+v", err, copied)
	}
}

func TestACopyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dossier.Copy(ctx, w.item(), target(), registrytest.New(t).Repository("mirror/web"), w.copyOptions()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
