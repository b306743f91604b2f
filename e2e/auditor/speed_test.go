package auditor_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// rounds are how often each command is run; the medians are compared.
	rounds = 15
	// mostTimes is how many times as long as `cosign verify` of the signature alone
	// `tallyman verify` of all papers may take.
	mostTimes = 1.5
	// packages are how many each SBOM lists, about as many as those of our images.
	packages = 150
)

// tools runs cosign and tallyman.
type tools struct {
	cosign, tallyman string
	env              []string
}

// toolsDir is where the pinned commands are.
func toolsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TALLYMAN_TOOLS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".tools", "bin")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newTools finds the pinned cosign and builds tallyman as it is released.
func newTools(t *testing.T) tools {
	t.Helper()
	dir := toolsDir(t)
	// Neither a database nor credentials of whoever runs the test have a say.
	home := t.TempDir()
	b := tools{
		cosign: filepath.Join(dir, "cosign"), tallyman: filepath.Join(home, "tallyman"),
		env: append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "DOCKER_CONFIG="+home, "COSIGN_PASSWORD=", "TALLYMAN_DB="+filepath.Join(home, "none.db")),
	}
	if _, err := os.Stat(b.cosign); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs cosign: %v; make tools builds it", err)
		}
		t.Skipf("needs cosign: %v; make tools builds it", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags=nopgxregisterdefaulttypes,grpcnotrace", "-ldflags=-s -w", "-o", b.tallyman, "./cmd/tallyman")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build tallyman: %v\n%s", err, out)
	}
	return b
}

// run runs a command and returns how long it took.
func (b tools) run(t *testing.T, program string, args ...string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = b.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, &out)
	}
	return took
}

// sealedImage pushes an image of two platforms and puts on what our pipeline puts on: a
// signature, provenance and SBOMs in both formats, on the index and on each platform.
// It returns the image by digest and the file of the public key.
func (b tools) sealedImage(t *testing.T) (image, key string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/acme/web")
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, arch := range []string{"amd64", "arm64"} {
		layers, err := random.Image(4096, 3, random.WithSource(rand.NewSource(int64(i))))
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: layers, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	if err := remote.WriteIndex(repo.Tag("v1.0.0"), index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	prefix := filepath.Join(dir, "release")
	b.run(t, b.cosign, "generate-key-pair", "--output-key-prefix", prefix)
	papers := []struct{ kind, predicate string }{
		{"spdxjson", spdx("all")}, {"cyclonedx", cyclonedx("all")}, {"slsaprovenance1", provenance},
	}
	for i, subject := range []string{digest.String(), manifest.Manifests[0].Digest.String(), manifest.Manifests[1].Digest.String()} {
		ref := repo.Digest(subject).String()
		b.run(t, b.cosign, "sign", "--yes", "--key", prefix+".key", "--tlog-upload=false", ref)
		for _, paper := range papers {
			file := filepath.Join(dir, fmt.Sprintf("%d-%s.json", i, paper.kind))
			if err := os.WriteFile(file, []byte(paper.predicate), 0o600); err != nil {
				t.Fatal(err)
			}
			b.run(t, b.cosign, "attest", "--yes", "--key", prefix+".key", "--tlog-upload=false", "--type", paper.kind, "--predicate", file, ref)
		}
	}
	return repo.Digest(digest.String()).String(), prefix + ".pub"
}

const provenance = `{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{},"resolvedDependencies":[]},
	"runDetails":{"builder":{"id":"https://example.com/builder"},"metadata":{"startedOn":"2026-11-01T10:00:00Z","finishedOn":"2026-11-01T10:02:00Z"}}}`

func purl(i int) string { return fmt.Sprintf("pkg:golang/example.com/module%d@v1.%d.0", i, i) }

func spdx(name string) string {
	type ref struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	type pkg struct {
		ID      string `json:"SPDXID"`
		Name    string `json:"name"`
		Version string `json:"versionInfo"`
		Refs    []ref  `json:"externalRefs"`
	}
	var all []pkg
	for i := range packages {
		all = append(all, pkg{fmt.Sprintf("SPDXRef-%d", i), fmt.Sprintf("module%d", i), fmt.Sprintf("v1.%d.0", i), []ref{{"PACKAGE-MANAGER", "purl", purl(i)}}})
	}
	return encode(map[string]any{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": name, "dataLicense": "CC0-1.0", "packages": all})
}

func cyclonedx(name string) string {
	var all []map[string]string
	for i := range packages {
		all = append(all, map[string]string{"type": "library", "name": fmt.Sprintf("module%d", i), "version": fmt.Sprintf("v1.%d.0", i), "purl": purl(i)})
	}
	return encode(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": map[string]any{"component": map[string]string{"type": "container", "name": name}}, "components": all})
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// zipped packs the demo's advisories as OSV publishes them, and returns the folder.
func zipped(t *testing.T) string {
	t.Helper()
	from, to := filepath.Join("..", "advisories"), t.TempDir()
	for _, ecosystem := range []string{"Go", "Debian"} {
		if err := os.Mkdir(filepath.Join(to, ecosystem), 0o755); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		if err := z.AddFS(os.DirFS(filepath.Join(from, ecosystem))); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, ecosystem, "all.zip"), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// TestVerifyOfAllPapersTakesAboutAsLongAsCosignOfOne is the auditor's speed: every paper of
// an index and of two platforms, in the time in which cosign verifies one signature.
func TestVerifyOfAllPapersTakesAboutAsLongAsCosignOfOne(t *testing.T) {
	b := newTools(t)
	image, key := b.sealedImage(t)
	db := filepath.Join(t.TempDir(), "advisories.db")
	b.run(t, b.tallyman, "db", "import", "--db", db, zipped(t))
	// The order is turned around each time, so that what else the machine does falls on all.
	commands := []struct {
		name string
		run  func() time.Duration
	}{
		{"cosign verify", func() time.Duration {
			return b.run(t, b.cosign, "verify", "--key", key, "--insecure-ignore-tlog=true", image)
		}},
		{"tallyman verify", func() time.Duration {
			return b.run(t, b.tallyman, "verify", "--key", key, "--require", "signature,sbom,provenance", image)
		}},
		{"tallyman verify, judged", func() time.Duration {
			return b.run(t, b.tallyman, "verify", "--key", key, "--policy", "built-in", "--db", db, image)
		}},
	}
	took := make(map[string][]time.Duration)
	for i := range rounds + 1 {
		for _, c := range commands {
			d := c.run()
			if i > 0 { // the first run warms the caches of the machine
				took[c.name] = append(took[c.name], d)
			}
		}
		slices.Reverse(commands)
	}
	base := median(took["cosign verify"])
	t.Logf("cosign verify of one signature: %s (median of %d)", base.Round(time.Millisecond), rounds)
	for _, name := range []string{"tallyman verify", "tallyman verify, judged"} {
		times := float64(median(took[name])) / float64(base)
		t.Logf("%s of all papers of an index and two platforms: %s, %.2f times that; at most %.1f", name, median(took[name]).Round(time.Millisecond), times, mostTimes)
		if times > mostTimes {
			t.Errorf("%s takes %.2f times as long as cosign verify, expected at most %.1f", name, times, mostTimes)
		}
	}
}
