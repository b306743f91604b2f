// Package deploy_test checks the manifests under deploy/ against the schemas of the platforms they
// are written for, and against deploy/container.json, which states how the images are run.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deployDir is deploy/ as seen from this package's folder.
const deployDir = "../../deploy"

// The digests that tests put where an operator puts those of a release.
const (
	webDigest    = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	workerDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	noDigest     = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

var digests = map[string]string{"web": webDigest, "worker": workerDigest}

// byDigest matches an image reference that ends in a whole digest.
var byDigest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// settings is deploy/container.json.
type settings struct {
	User                   string             `json:"user"`
	ReadOnlyRootFilesystem bool               `json:"readOnlyRootFilesystem"`
	NoNewPrivileges        bool               `json:"noNewPrivileges"`
	CapDrop                []string           `json:"capDrop"`
	CapAdd                 []string           `json:"capAdd"`
	Privileged             bool               `json:"privileged"`
	Tmpfs                  []tmpfs            `json:"tmpfs"`
	StopSignal             string             `json:"stopSignal"`
	StopGracePeriodSeconds int                `json:"stopGracePeriodSeconds"`
	PlatformEnv            []string           `json:"platformEnv"`
	Services               map[string]service `json:"services"`
}

type tmpfs struct {
	Path      string   `json:"path"`
	SizeBytes int64    `json:"sizeBytes"`
	Options   []string `json:"options"`
}

type service struct {
	Entrypoint  []string          `json:"entrypoint"`
	Args        []string          `json:"args"`
	Port        int               `json:"port"`
	Healthcheck []string          `json:"healthcheck"`
	MemoryBytes int64             `json:"memoryBytes"`
	Env         map[string]string `json:"env"`
}

// container is what a manifest of any platform says about one of our containers, in one form, so
// that one comparison serves all platforms.
type container struct {
	Image           string
	User            string
	ReadOnly        bool
	NoNewPrivileges bool
	CapDrop         []string
	CapAdd          []string
	Privileged      bool
	Tmpfs           map[string]int64 // path to size in bytes
	StopSignal      string
	StopGrace       time.Duration
	Args            []string // nil where the manifest leaves it to the image
	Port            int
	Healthcheck     []string
	MemoryBytes     int64
	Env             map[string]string
	SecretDirs      []string // folders in which the platform puts secrets as files
}

func loadSettings(t *testing.T) settings {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(readFile(t, "container.json")))
	dec.DisallowUnknownFields()
	var s settings
	if err := dec.Decode(&s); err != nil {
		t.Fatalf("container.json: %v", err)
	}
	return s
}

// checkContainer fails the test where got differs from what container.json says for the service.
func checkContainer(t *testing.T, name string, got container) {
	t.Helper()
	s := loadSettings(t)
	svc, ok := s.Services[name]
	if !ok {
		t.Fatalf("container.json has no service %q", name)
	}
	checkPlatformEnv(t, s, name, got)

	want := container{
		Image:           "ghcr.io/tallyman-io/tallyman/" + name + "@" + digests[name],
		User:            s.User,
		ReadOnly:        s.ReadOnlyRootFilesystem,
		NoNewPrivileges: s.NoNewPrivileges,
		CapDrop:         s.CapDrop,
		Privileged:      s.Privileged,
		Tmpfs:           map[string]int64{},
		StopSignal:      s.StopSignal,
		StopGrace:       time.Duration(s.StopGracePeriodSeconds) * time.Second,
		Args:            svc.Args,
		Port:            svc.Port,
		Healthcheck:     svc.Healthcheck,
		MemoryBytes:     svc.MemoryBytes,
		Env:             svc.Env,
	}
	if len(s.CapAdd) > 0 {
		want.CapAdd = s.CapAdd
	}
	for _, m := range s.Tmpfs {
		want.Tmpfs[m.Path] = m.SizeBytes
	}

	if got.Args == nil {
		got.Args = svc.Args
	}
	got.SecretDirs = nil
	got.Env = maps.Clone(got.Env)
	for _, key := range append([]string{"TALLYMAN_CONFIG"}, s.PlatformEnv...) {
		delete(got.Env, key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from container.json (-want +got):\n%s", name, diff)
	}
}

// checkPlatformEnv checks the variables whose values are the platform's own: the database URL is a
// file among the platform's secrets, the digest is that of the image.
func checkPlatformEnv(t *testing.T, s settings, name string, got container) {
	t.Helper()
	for _, key := range s.PlatformEnv {
		if got.Env[key] == "" {
			t.Errorf("%s: %s is not set", name, key)
		}
	}
	file := got.Env["TALLYMAN_DATABASE_URL_FILE"]
	var mounted bool
	for _, dir := range got.SecretDirs {
		mounted = mounted || strings.HasPrefix(file, dir+"/")
	}
	if !mounted {
		t.Errorf("%s: TALLYMAN_DATABASE_URL_FILE is %q, want a file under one of %q", name, file, got.SecretDirs)
	}
	if _, digest, _ := strings.Cut(got.Image, "@"); got.Env["TALLYMAN_IMAGE_DIGEST"] != digest {
		t.Errorf("%s: TALLYMAN_IMAGE_DIGEST is %q, want the image's %q", name, got.Env["TALLYMAN_IMAGE_DIGEST"], digest)
	}
	for key, value := range got.Env {
		if strings.Contains(value, "postgres://") || strings.Contains(value, "postgresql://") {
			t.Errorf("%s: %s carries a database URL in the environment", name, key)
		}
	}
}

func TestGraceIsLongerThanTheServicesOwnShutdown(t *testing.T) {
	t.Parallel()
	s := loadSettings(t)
	for name, svc := range s.Services {
		shutdown, err := time.ParseDuration(svc.Env["TALLYMAN_SHUTDOWN_TIMEOUT"])
		if err != nil {
			t.Errorf("%s: TALLYMAN_SHUTDOWN_TIMEOUT: %v", name, err)
			continue
		}
		grace := time.Duration(s.StopGracePeriodSeconds) * time.Second
		if grace < shutdown+5*time.Second {
			t.Errorf("%s: grace of %v leaves less than 5s after a shutdown of %v", name, grace, shutdown)
		}
	}
}

// imageLine matches a line of YAML or JSON that names an image, with the reference as its group.
var imageLine = regexp.MustCompile(`(?m)^\s*"?image"?:\s*"?([^"\s]+)`)

// TestEveryImageIsNamedByDigest reads the files as text, so that an image outside the services that
// the other tests look at does not slip through.
func TestEveryImageIsNamedByDigest(t *testing.T) {
	t.Parallel()
	// What stands in a file for a digest that the operator gives.
	placeholders := []string{
		"@${NOMAD_META_image_digest}",
		"@${TALLYMAN_WEB_DIGEST:?the", "@${TALLYMAN_WORKER_DIGEST:?the",
	}
	var seen int
	for _, pattern := range []string{"compose/*.yaml", "kubernetes/*.yaml", "nomad/*.json"} {
		files, err := filepath.Glob(filepath.Join(deployDir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range imageLine.FindAllStringSubmatch(string(text), -1) {
				seen++
				ok := byDigest.MatchString(m[1])
				for _, p := range placeholders {
					ok = ok || strings.HasSuffix(m[1], p)
				}
				if !ok || strings.Contains(m[1], ":latest") {
					t.Errorf("%s: image %q is not named by digest", file, m[1])
				}
			}
		}
	}
	if want := 7; seen != want {
		t.Errorf("found %d images, want %d", seen, want)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, path))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
