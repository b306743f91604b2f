package pipeline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const modulePath = "github.com/tallyman-io/tallyman"

// goInstall publishes the tagged commit as a module proxy does, and installs the command
// from there, in a folder that knows nothing of the checkout.
func (s *suite) goInstall(t *testing.T) {
	start := time.Now()
	dir := t.TempDir()
	proxy, bin, work := filepath.Join(dir, "proxy"), filepath.Join(dir, "bin"), filepath.Join(dir, "work")
	must(t, os.Mkdir(work, 0o700))
	s.publishModule(t, proxy)
	downloaded, err := s.bench.Tools.Run(t.Context(), "go", "env", "GOMODCACHE")
	must(t, err)
	cache := filepath.Join(dir, "modules")
	cmd := exec.CommandContext(t.Context(), "go", "install", modulePath+"/cmd/tallyman@latest")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOMODCACHE="+cache, "GOFLAGS=-trimpath -modcacherw", "GOWORK=off",
		"GOPROXY=file://"+proxy+",file://"+filepath.Join(strings.TrimSpace(string(downloaded)), "cache", "download"), "GONOSUMDB=*", "GOSUMDB=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	said, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tallyman"), "version", "--json").Output()
	must(t, err)
	var info map[string]string
	must(t, json.Unmarshal(said, &info))
	// A module has no commit: its version stands for it.
	if info["version"] != strings.TrimPrefix(second, "v") || info["commit"] != "unknown" {
		t.Errorf("tallyman version: got %s, want %s", said, second)
	}
	s.figures["14"] = fmt.Sprintf("%s with the modules at hand", time.Since(start).Round(time.Second))
}

// publishModule lays a proxy out with the tagged commit in it
// (https://go.dev/ref/mod#goproxy-protocol).
func (s *suite) publishModule(t *testing.T, proxy string) {
	t.Helper()
	versions := filepath.Join(proxy, filepath.FromSlash(modulePath), "@v")
	must(t, os.MkdirAll(versions, 0o700))
	gomod, err := s.clone.Git(t.Context(), "show", second+":go.mod")
	must(t, err)
	for name, content := range map[string]string{
		"list": second + "\n", second + ".info": `{"Version":"` + second + `"}`, second + ".mod": gomod + "\n",
	} {
		writeFile(t, versions, name, content)
	}
	packed, err := os.Create(filepath.Join(versions, second+".zip"))
	must(t, err)
	must(t, zip.CreateFromVCS(packed, module.Version{Path: modulePath, Version: second}, s.clone.Dir, second, ""))
	must(t, packed.Close())
}
