package pipeline_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// binaryMax are the sizes that a stripped binary may have, in bytes.
var binaryMax = map[string]int64{"web": 20e6, "worker": 36e6, "tallyman": 26e6}

func (s *suite) sizesAndSecrets(t *testing.T) {
	for _, image := range s.images() {
		service := filepath.Base(image)
		facts := s.released[second][image]
		for _, platform := range facts.Image.Platforms {
			s.checkImage(t, image+"@"+string(platform.Digest), service, s.commits[second])
		}
		s.figures["9"] += fmt.Sprintf("%s: built in %s, %.1f + %.1f MB compressed, %d packages; ", service, facts.Build.Round(100*time.Millisecond),
			float64(facts.Image.Platforms[0].CompressedSize)/1e6, float64(facts.Image.Platforms[1].CompressedSize)/1e6, facts.Packages)
	}
	s.figures["9"] += "the pinned tools were built in " + s.toolTime(t)
	s.wantNoSecret(t, s.bench.Blobs())
	s.wantNoSecret(t, filepath.Join(s.clone.Dir, "dist"))
	s.wantNoSecret(t, filepath.Join(s.clone.Dir, "rehearsal"))
}

// toolTime sums what build/tools.sh noted of each tool.
func (s *suite) toolTime(t *testing.T) string {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(s.repository, ".tools", "stamp", "*.seconds"))
	must(t, err)
	var total time.Duration
	for _, note := range notes {
		content, err := os.ReadFile(note)
		must(t, err)
		seconds, err := time.ParseDuration(strings.TrimSpace(string(content)) + "s")
		must(t, err)
		total += seconds
	}
	return total.String()
}

// checkImage asserts the labels, times and sizes of one platform's image.
func (s *suite) checkImage(t *testing.T, ref, service, commit string) {
	t.Helper()
	digest, err := name.NewDigest(ref)
	must(t, err)
	img, err := remote.Image(digest, remote.WithContext(t.Context()))
	must(t, err)
	config, err := img.ConfigFile()
	must(t, err)
	manifest, err := img.Manifest()
	must(t, err)
	committed, err := time.Parse(time.RFC3339, config.Config.Labels["org.opencontainers.image.created"])
	must(t, err)
	if !config.Created.Equal(committed) || committed.Year() < 2020 {
		t.Errorf("created of %s: got %s, want the commit's time %s", ref, config.Created, committed)
	}
	for _, label := range []string{"source", "revision", "version", "created", "licenses", "title", "base.name", "base.digest"} {
		if config.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("label org.opencontainers.image.%s of %s is missing", label, ref)
		}
	}
	if got := manifest.Annotations["org.opencontainers.image.revision"]; got != commit {
		t.Errorf("annotation revision of %s: got %q, want %q", ref, got, commit)
	}
	for port := range config.Config.ExposedPorts {
		if !strings.HasSuffix(port, "/tcp") {
			t.Errorf("exposed port of %s: got %q", ref, port)
		}
	}
	ports := 1
	if service == commandImage {
		ports = 0
	}
	if len(config.Config.ExposedPorts) != ports {
		t.Errorf("exposed ports of %s: got %v, want %d", ref, config.Config.ExposedPorts, ports)
	}
	s.checkSizes(t, img, ref, service, committed)
}

// checkSizes asserts that above the base there is the binary and next to
// nothing else, all of it from the commit's time.
func (s *suite) checkSizes(t *testing.T, img v1.Image, ref, service string, committed time.Time) {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	var ours, binaryCompressed int64
	state := ""
	for i, layer := range layers {
		reader, err := layer.Uncompressed()
		must(t, err)
		archive := tar.NewReader(reader)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if strings.Trim(header.Name, "/") == "var/lib/tallyman" {
				state = fmt.Sprintf("%d:%d", header.Uid, header.Gid)
			}
			if header.Name == service {
				if header.Size > binaryMax[service] {
					t.Errorf("%s in %s: got %d bytes, want at most %d", service, ref, header.Size, binaryMax[service])
				}
				binaryCompressed = gzipped(t, archive)
				ours = int64(i)
				if !header.ModTime.Equal(committed) {
					t.Errorf("time of %s in %s: got %s, want the commit's, %s", header.Name, ref, header.ModTime, committed)
				}
			}
		}
		must(t, reader.Close())
	}
	if state != "65532:65532" {
		t.Errorf("owner of var/lib/tallyman in %s: got %q, want the image's user: a volume takes it over", ref, state)
	}
	if binaryCompressed == 0 {
		t.Fatalf("%s: no file %s in any layer", ref, service)
	}
	var base, total int64
	for i, layer := range layers {
		size, err := layer.Size()
		must(t, err)
		total += size
		if int64(i) < ours {
			base += size
		}
	}
	if limit := base + binaryCompressed + 64<<10; total > limit {
		t.Errorf("%s: got %d bytes compressed, want at most base %d + binary %d + 64 KiB = %d", ref, total, base, binaryCompressed, limit)
	}
}

func gzipped(t *testing.T, r io.Reader) int64 {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.Copy(w, r)
	must(t, err)
	must(t, w.Close())
	return int64(out.Len())
}

// wantNoSecret looks for the planted secret in each file below dir, as it is
// and inside gzip and DSSE payloads.
func (s *suite) wantNoSecret(t *testing.T, dir string) {
	t.Helper()
	files := 0
	tree := os.DirFS(dir)
	must(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for what, form := range forms(content) {
			if bytes.Contains(form, []byte(planted)) {
				t.Errorf("the planted secret is in %s (%s)", filepath.Join(dir, name), what)
			}
		}
		return nil
	}))
	if files == 0 {
		t.Errorf("%s: no file to look for the secret in", dir)
	}
}

// forms are the contents that a file can be read as.
func forms(content []byte) map[string][]byte {
	all := map[string][]byte{"as it is": content}
	if r, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
		if unpacked, err := io.ReadAll(r); err == nil {
			all["unpacked"] = unpacked
		}
	}
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	if json.Unmarshal(content, &envelope) == nil && len(envelope.Payload) > 0 {
		all["payload"] = envelope.Payload
	}
	return all
}
